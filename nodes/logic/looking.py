"""Looking at any value as text."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from torch import Tensor

from execution.declare.node import Outcome, Tip, node

LONGEST = 100_000
"""Characters that are shown of one value."""


@node("PreviewAny", category="utils", output_node=True)
def preview_any(source: Annotated[Any, Tip("What is looked at.")]) -> Outcome[str]:
    """Preview Any.

    Shows a value as text, and hands the whole text on; of tensors their shape and range.
    """
    text = as_text(source)
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text)} characters)"
    return Outcome((text,), {"text": [shown]})


def as_text(value: Any) -> str:
    """A value in words: texts as they are, numbers and lists as JSON, others in Python's words."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, indent=4, default=_described)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _described(value: Any) -> Any:
    """What JSON has no word for."""
    if isinstance(value, Tensor):
        return described(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, set | frozenset) else repr(value)


def described(tensor: Tensor) -> str:
    """Shape, type and range of a tensor."""
    shape = "×".join(map(str, tensor.shape)) or "one number"
    kind = str(tensor.dtype).removeprefix("torch.")
    if not tensor.numel() or tensor.is_complex():
        return f"tensor {shape}, {kind}"
    values = tensor.detach().float()
    return f"tensor {shape}, {kind}, {values.min():.4g} … {values.max():.4g}, mean {values.mean():.4g}"
