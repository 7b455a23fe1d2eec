"""ComfyUI's `comfy.model_base`: the kinds of prediction by name. Its model classes are placeholders."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from compat.host import Host


class ModelType(Enum):
    """What a network predicts, in ComfyUI's words."""

    EPS = 1
    V_PREDICTION = 2
    V_PREDICTION_EDM = 3
    STABLE_CASCADE = 4
    EDM = 5
    FLOW = 6
    V_PREDICTION_CONTINUOUS = 7
    FLUX = 8
    IMG_TO_IMG = 9
    FLOW_COSMOS = 10


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {"ModelType": ModelType}
