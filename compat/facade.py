"""A native node type in the shape of a V1 class, for packs that call `nodes.VAEEncode().encode(…)` or derive
from it.

The class is made from the spec: INPUT_TYPES, RETURN_TYPES and the rest say what object_info says. `CALLS` has
the names under which packs know the functions, and the order of their positional parameters where it is not
the inputs' order.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from compat.current import current_run
from compat.later import run_now
from compat.values.passing import own, shown
from execution.declare.node import NodeType, Outcome, Run
from execution.declare.spec import GROUPS, InputSpec, NodeSpec

CALLS: Mapping[str, str] = {
    "CLIPLoader": "load_clip",
    "CLIPSetLastLayer": "set_last_layer",
    "CLIPTextEncode": "encode clip text",
    "CLIPTextEncodeSDXL": "encode clip width height crop_w crop_h target_width target_height text_g text_l",
    "CLIPTextEncodeSDXLRefiner": "encode clip ascore width height text",
    "CLIPVisionEncode": "encode",
    "CLIPVisionLoader": "load_clip",
    "CheckpointLoader": "load_checkpoint",
    "CheckpointLoaderSimple": "load_checkpoint",
    "ConditioningAverage": "addWeighted",
    "ConditioningCombine": "combine",
    "ConditioningConcat": "concat",
    "ConditioningSetArea": "append",
    "ConditioningSetAreaPercentage": "append",
    "ConditioningSetAreaStrength": "append",
    "ConditioningSetMask": "append",
    "ConditioningSetTimestepRange": "set_range",
    "ConditioningZeroOut": "zero_out",
    "ControlNetApply": "apply_controlnet",
    "ControlNetApplyAdvanced": "apply_controlnet",
    "ControlNetLoader": "load_controlnet",
    "DiffControlNetLoader": "load_controlnet",
    "DualCLIPLoader": "load_clip",
    "EmptyImage": "generate",
    "EmptyLatentImage": "generate",
    "FeatherMask": "feather",
    "FreeU": "patch",
    "FreeU_V2": "patch",
    "GrowMask": "expand_mask",
    "ImageBatch": "batch",
    "ImageBlend": "blend_images",
    "ImageBlur": "blur",
    "ImageCompositeMasked": "composite",
    "ImageCrop": "crop",
    "ImageInvert": "invert",
    "ImagePadForOutpaint": "expand_image",
    "ImageScale": "upscale",
    "ImageScaleBy": "upscale",
    "ImageScaleToTotalPixels": "upscale",
    "ImageToMask": "image_to_mask",
    "ImageUpscaleWithModel": "upscale",
    "InpaintModelConditioning": "encode",
    "InvertMask": "invert",
    "KSampler": "sample",
    "KSamplerAdvanced": "sample",
    "LatentBatch": "batch",
    "LatentBlend": "blend",
    "LatentComposite": "composite",
    "LatentCompositeMasked": "composite",
    "LatentCrop": "crop",
    "LatentFlip": "flip",
    "LatentFromBatch": "frombatch",
    "LatentRotate": "rotate",
    "LatentUpscale": "upscale",
    "LatentUpscaleBy": "upscale",
    "LoadImage": "load_image",
    "LoadImageMask": "load_image",
    "LoadLatent": "load",
    "LoraLoader": "load_lora",
    "LoraLoaderModelOnly": "load_lora_model_only",
    "MaskComposite": "combine",
    "MaskToImage": "mask_to_image",
    "ModelMergeSimple": "merge",
    "PatchModelAddDownscale": "patch",
    "RebatchLatents": "rebatch",
    "RepeatLatentBatch": "repeat",
    "RescaleCFG": "patch",
    "SamplerCustom": "sample",
    "SamplerCustomAdvanced": "sample",
    "SaveLatent": "save",
    "SetLatentNoiseMask": "set_mask",
    "SolidMask": "solid",
    "StyleModelApply": "apply_stylemodel",
    "StyleModelLoader": "load_style_model",
    "UNETLoader": "load_unet",
    "UpscaleModelLoader": "load_model",
    "VAEDecode": "decode vae samples",
    "VAEDecodeTiled": "decode vae samples tile_size overlap temporal_size temporal_overlap",
    "VAEEncode": "encode vae pixels",
    "VAEEncodeForInpaint": "encode vae pixels mask grow_mask_by",
    "VAEEncodeTiled": "encode vae pixels tile_size overlap temporal_size temporal_overlap",
    "VAELoader": "load_vae",
    "unCLIPConditioning": "apply_adm",
}
"""Node → the V1 function's name, then its positional parameters where they are not in the inputs' order."""


class NativeFacade:
    """Base of the classes made here; `native` is the node type behind one."""

    native: NodeType
    positional: Sequence[str]

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, dict[str, Any]]:
        """The inputs in V1's shape, with the choices of now."""
        return input_types(cls.native.describe())

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        arguments = {**dict(zip(self.positional, args, strict=False)), **kwargs}
        return called(self.native, arguments)


def native_class(native: NodeType) -> type:
    """The V1 class of a native node type."""
    spec = native.spec
    function, *order = CALLS.get(spec.name, "execute").split()
    members = {
        "native": native,
        "positional": tuple(order) or tuple(spec.by_name),
        "FUNCTION": function,
        "RETURN_TYPES": tuple(
            list(each.type) if isinstance(each.type, tuple) else each.type for each in spec.outputs
        ),
        "RETURN_NAMES": tuple(each.name for each in spec.outputs),
        "OUTPUT_IS_LIST": tuple(each.is_list for each in spec.outputs),
        "OUTPUT_NODE": spec.output_node,
        "INPUT_IS_LIST": spec.input_is_list,
        "CATEGORY": spec.category,
        "DESCRIPTION": spec.description,
        function: NativeFacade._call,
        "__module__": "nodes",
    }
    return type(spec.name, (NativeFacade,), members)


def input_types(spec: NodeSpec) -> dict[str, dict[str, Any]]:
    """What a V1 class with this spec would return from INPUT_TYPES."""
    groups = {group: [each for each in spec.inputs if each.group == group] for group in GROUPS}
    shown = {group: {each.name: _shape(each) for each in members} for group, members in groups.items()}
    return {group: members for group, members in shown.items() if members or group == "required"}


def _shape(each: InputSpec) -> Any:
    shape = each.object_info()
    return shape if isinstance(shape, str) else tuple(shape)


def called(native: NodeType, arguments: Mapping[str, Any]) -> Any:
    """Call a node type by hand, as part of the node that is running, and give what a V1 function would
    return.

    Inputs that are not given take their defaults. Hidden ones given by name (`prompt`, `extra_pnginfo`) win
    over the running job's.
    """
    spec = native.spec
    defaults = {
        n: each.options["default"]
        for n, each in spec.by_name.items()
        if each.options and "default" in each.options
    }
    inputs = {**defaults, **{name: own(value) for name, value in arguments.items() if name in spec.by_name}}
    result = native(inputs, _run_with(spec, arguments))
    outcome = run_now(result) if inspect.isawaitable(result) else result
    return returned(outcome)


def _run_with(spec: NodeSpec, arguments: Mapping[str, Any]) -> Run:
    run = current_run() or Run()
    hidden = {
        each.socket: arguments[each.name]
        for each in spec.inputs
        if each.group == "hidden" and each.name in arguments
    }
    extra = {
        kind.lower(): value
        for kind, value in hidden.items()
        if kind not in ("PROMPT", "UNIQUE_ID", "DYNPROMPT")
    }
    prompt = hidden.get("PROMPT") or run.prompt
    return dataclasses.replace(
        run, prompt=prompt, extra_data={**run.extra_data, **extra}, pending=frozenset()
    )


def returned(outcome: Outcome[Any]) -> Any:
    """An outcome in V1's shape: a tuple, or a dict when there is more to say."""
    if outcome.blocked is not None:
        return outcome.blocked
    outputs = tuple(shown(value) for value in outcome.outputs)
    if outcome.ui is None and outcome.expand is None:
        return outputs
    shape: dict[str, Any] = {"result": outputs}
    if outcome.ui is not None:
        shape["ui"] = dict(outcome.ui)
    if outcome.expand is not None:
        shape["expand"] = dict(outcome.expand)
    return shape
