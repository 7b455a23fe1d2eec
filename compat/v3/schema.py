"""V3's nodes: schema, base class, what a node returns, and the names of the `io` module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.v3.inputs import (
    Autogrow,
    Combo,
    ComfyType,
    ControlAfterGenerate,
    DynamicCombo,
    FolderType,
    Hidden,
    Input,
    MatchType,
    MultiCombo,
    MultiType,
    NumberDisplay,
    Output,
    RemoteOptions,
    UploadType,
    comfy_type,
)
from compat.v3.replacing import NodeReplace
from execution.declare.node import ExecutionBlocker

PLAIN_TYPES: Mapping[str, str] = {
    "Accumulation": "ACCUMULATION", "AnyType": "*", "Audio": "AUDIO", "AudioEncoder": "AUDIO_ENCODER",
    "AudioEncoderOutput": "AUDIO_ENCODER_OUTPUT", "BBOX": "BBOX", "Boolean": "BOOLEAN",
    "BoundingBox": "BOUNDING_BOX", "Clip": "CLIP", "ClipVision": "CLIP_VISION",
    "ClipVisionOutput": "CLIP_VISION_OUTPUT", "Color": "COLOR", "Conditioning": "CONDITIONING",
    "ControlNet": "CONTROL_NET", "Curve": "CURVE", "FaceAnalysis": "FACE_ANALYSIS", "File3DAny": "FILE_3D",
    "Float": "FLOAT", "FlowControl": "FLOW_CONTROL", "Gligen": "GLIGEN", "Guider": "GUIDER",
    "HookKeyframes": "HOOK_KEYFRAMES", "Hooks": "HOOKS", "Image": "IMAGE", "ImageCompare": "IMAGECOMPARE",
    "Int": "INT", "Latent": "LATENT", "LatentOperation": "LATENT_OPERATION",
    "LatentUpscaleModel": "LATENT_UPSCALE_MODEL", "Load3D": "LOAD_3D",
    "Load3DAnimation": "LOAD_3D_ANIMATION", "Load3DCamera": "LOAD3D_CAMERA", "LoraModel": "LORA_MODEL",
    "LossMap": "LOSS_MAP", "Mask": "MASK", "Mesh": "MESH", "Model": "MODEL", "ModelPatch": "MODEL_PATCH",
    "Noise": "NOISE", "Photomaker": "PHOTOMAKER", "Point": "POINT", "SEGS": "SEGS", "SVG": "SVG",
    "Sampler": "SAMPLER", "Sigmas": "SIGMAS", "String": "STRING", "StyleModel": "STYLE_MODEL",
    "TimestepsRange": "TIMESTEPS_RANGE", "Tracks": "TRACKS", "UpscaleModel": "UPSCALE_MODEL", "Vae": "VAE",
    "Video": "VIDEO", "Voxel": "VOXEL", "WanCameraEmbedding": "WAN_CAMERA_EMBEDDING", "Webcam": "WEBCAM",
}  # fmt: skip
"""The types that are a name and nothing else."""


class Schema:
    """What a V3 node says about itself. Keywords of later versions are kept in `more`."""

    DEFAULTS: Mapping[str, Any] = {
        "display_name": None, "category": "sd", "inputs": (), "outputs": (), "hidden": (), "description": "",
        "is_input_list": False, "is_output_node": False, "is_deprecated": False, "is_experimental": False,
        "is_api_node": False, "not_idempotent": False, "enable_expand": False, "search_aliases": (),
        "accept_all_inputs": False,
    }  # fmt: skip

    def __init__(
        self, node_id: str, display_name: str | None = None, category: str = "sd", **keywords: Any
    ) -> None:
        given = {"display_name": display_name, "category": category, **keywords}
        self.node_id = node_id
        for name, default in self.DEFAULTS.items():
            value = given.get(name)
            value = default if value is None else value
            setattr(self, name, list(value) if isinstance(default, tuple) else value)
        self.more = {name: value for name, value in keywords.items() if name not in self.DEFAULTS}

    def __getattr__(self, name: str) -> Any:
        """Typed as anything: the attributes are those of `DEFAULTS`."""
        raise AttributeError(f"a schema has no {name!r}")


class NodeOutput:
    """What a V3 node returns: values, things to show, a graph to go on with, or a stop."""

    def __init__(
        self,
        *args: Any,
        ui: Any = None,
        expand: Mapping[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        """The values, or None."""
        return self.args or None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeOutput:
        """From V1's dict of `result`, `ui` and `expand`."""
        result = data.get("result")
        if isinstance(result, ExecutionBlocker):
            return cls(ui=data.get("ui"), expand=data.get("expand"), block_execution=result.message or "")
        return cls(*(result or ()), ui=data.get("ui"), expand=data.get("expand"))


class ComfyNode:
    """Base of V3 nodes. All functions are class methods; `cls.hidden` has what the schema asked for."""

    hidden: Any = None
    FUNCTION = "execute"

    @classmethod
    def define_schema(cls) -> Schema:
        """What the node says about itself; to be written by each node."""
        raise NotImplementedError(f"{cls.__name__} has no define_schema")

    @classmethod
    def execute(cls, **kwargs: Any) -> Any:
        """What the node does; to be written by each node."""
        raise NotImplementedError(f"{cls.__name__} has no execute")

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The schema as of now."""
        return cls.define_schema()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """The inputs in V1's shape, for nodes that look at one another."""
        groups: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
        for each in cls.GET_SCHEMA().inputs:
            groups["optional" if each.optional else "required"][each.id] = (
                each.get_io_type(),
                each.options(),
            )
        return groups


class ComfyExtension:
    """What `comfy_entrypoint` returns: the nodes of a pack."""

    async def on_load(self) -> None:
        """Called once, before the nodes are listed."""

    async def get_node_list(self) -> list[type[ComfyNode]]:
        """The pack's nodes; to be written by each pack."""
        raise NotImplementedError(f"{type(self).__name__} has no get_node_list")


def io_names() -> dict[str, Any]:
    """The names of the `io` module."""
    ours = (
        Autogrow, Combo, ComfyNode, ControlAfterGenerate, DynamicCombo, FolderType, Hidden, Input, MatchType,
        MultiCombo, MultiType, NodeOutput, NodeReplace, NumberDisplay, Output, RemoteOptions, Schema,
        UploadType,
    )  # fmt: skip
    return {
        **{name: comfy_type(io_type) for name, io_type in PLAIN_TYPES.items()},
        **{each.__name__: each for each in ours},
        "Custom": comfy_type,
        "ComfyType": ComfyType,
        "Remote": RemoteOptions,
        "Upload": UploadType,
        "_ComfyNodeInternal": ComfyNode,
        "ComfyTypeIO": ComfyType,
        "comfytype": lambda io_type: lambda cls: type(cls.__name__, (cls, comfy_type(io_type)), {}),
    }
