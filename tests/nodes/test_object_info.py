"""Every node we have is declared as the reference declares it, and explained in our own words."""

import json
from pathlib import Path
from typing import Any

import pytest

from execution.declare.node import NativeNode
from execution.declare.signature import title_and_text
from nodes.library import native_types

REFERENCE: dict[str, Any] = json.loads((Path(__file__).parent / "object_info.json").read_text())
OURS = {each.spec.name: each for each in native_types()}
PRESENTATION = {"name", "description", "python_module", "search_aliases", "output_tooltips", "is_input_list"}
BEYOND = {
    "SaveImageWebsocket",  # the reference ships it as an example pack, so the recording lacks it
    "CropAroundMask",
    "StitchBack",
    "SavePicture",
    "TextToSVG",
    "CLIPTextEncodeModes",
    "ClassLabel",
    "WildcardText",
    *("ScribbleHint", "LineArtHint", "TileHint", "BlurHint", "RecolourHint", "DepthHint", "NormalHint"),
    *("ComfySwitchNode", "ComfyAndNode", "ComfyOrNode", "ComfyNotNode", "CustomCombo", "SeedNode"),
    *("ComfyMathExpression", "ComfyNumberConvert", "CreateList", "GetItemFromList"),
    *("StringFormat", "JsonExtractString"),
    *("ResizeImageMaskNode", "ResolutionSelector", "BatchImagesNode", "BatchMasksNode", "BatchLatentsNode"),
    *("UnetLoaderGGUF", "UnetLoaderGGUFAdvanced", "CLIPLoaderGGUF", "DualCLIPLoaderGGUF"),
    *("TripleCLIPLoaderGGUF", "QuadrupleCLIPLoaderGGUF"),
    *("ImageCompare", "ColorTransfer", "SaveImageAdvanced", "SaveAudioAdvanced", "ManualSigmas"),
    *("IfElse", "SwitchValue", "MakeList", "BatchToList", "ListToBatch", "ListItem", "ListLength"),
    *("ForEachStart", "ForEachEnd", "WhileStart", "WhileEnd", "WhileRound", "LoopItem", "LoopGather"),
}
OTHER_WORLDS: dict[str, tuple[str, ...]] = {
    "works on meshes, voxels and cameras, or shows them": (
        *("Load3D", "Load3DAnimation", "Preview3D", "Preview3DAnimation"),
        *("SaveGLB", "VoxelToMesh", "VoxelToMeshBasic"),
        *("EmptyLatentHunyuan3Dv2", "VAEDecodeHunyuan3D"),
        *("Hunyuan3Dv2Conditioning", "Hunyuan3Dv2ConditioningMultiView"),
    ),
    "Stable Cascade, whose two stages are other networks": (
        *("StableCascade_EmptyLatentImage", "StableCascade_StageC_VAEEncode"),
        *("StableCascade_StageB_Conditioning", "StableCascade_SuperResolutionControlnet"),
    ),
    "other transformers for pictures": (
        *("HunyuanRefinerLatent", "EmptyChromaRadianceLatentImage", "ChromaRadianceOptions"),
    ),
    "Lotus: steered by one fixed embedding that its release carries": ("LotusConditioning",),
    "Wan's video transformers": (
        *("WanCameraEmbedding", "WanContextWindowsManual", "Wan22ImageToVideoLatent"),
        *("Wan22FunControlToVideo", "WanAnimateToVideo", "WanCameraImageToVideo"),
        *("WanFirstLastFrameToVideo", "WanFunControlToVideo", "WanFunInpaintToVideo"),
        *("WanHuMoImageToVideo", "WanImageToVideo", "WanPhantomSubjectToVideo"),
        *("WanSoundImageToVideo", "WanSoundImageToVideoExtend", "WanTrackToVideo"),
        *("WanVaceToVideo", "ModelMergeWAN2_1", "AudioEncoderLoader", "AudioEncoderEncode"),
    ),
    "other video transformers: LTXV, Hunyuan, Cosmos, Mochi": (
        *("EmptyLTXVLatentVideo", "LTXVAddGuide", "LTXVConditioning", "LTXVCropGuides"),
        *("LTXVImgToVideo", "LTXVScheduler", "ModelMergeLTXV"),
        *("EmptyHunyuanLatentVideo", "HunyuanImageToVideo", "TextEncodeHunyuanVideo_ImageToVideo"),
        *("EmptyCosmosLatentVideo", "CosmosImageToVideoLatent", "CosmosPredict2ImageToVideoLatent"),
        *("ModelMergeCosmos7B", "ModelMergeCosmos14B"),
        *("ModelMergeCosmosPredict2_2B", "ModelMergeCosmosPredict2_14B"),
        *("EmptyMochiLatentVideo", "ModelMergeMochiPreview"),
    ),
    "diffusion of sound: Stable Audio, ACE-Step": (
        *("ConditioningStableAudio", "EmptyLatentAudio", "VAEEncodeAudio", "VAEDecodeAudio"),
        *("TextEncodeAceStepAudio", "EmptyAceStepLatentAudio"),
    ),
}
"""What the recording has and we do not, by the reason: none of it belongs to Stable Diffusion's UNets."""
SINCE: dict[str, dict[str, list[Any]]] = {
    "PreviewAny": {"output": ["STRING"], "output_is_list": [False], "output_name": ["STRING"]},
}
"""Outputs that the reference gave a type after the recording; today's templates link them."""
LISTS_FILES = {"image": ["example.png"], "vae_name": ["pixel_space"]}  # what lay in the recorded folders


def without_tooltips(shape: Any) -> Any:
    """An input's shape without tooltips, and without options that were nothing else."""
    if isinstance(shape, dict):
        return {key: without_tooltips(value) for key, value in shape.items() if key != "tooltip"}
    if isinstance(shape, list):
        parts = [without_tooltips(each) for each in shape]
        return parts[:1] if len(parts) == 2 and parts[1] == {} else parts
    return shape


def without_files(name: str, shape: Any) -> Any:
    """An input's shape without the files that happened to lie in a folder."""
    if isinstance(shape, list) and shape[0] == LISTS_FILES.get(name):
        return [[], *shape[1:]]
    return shape


@pytest.mark.parametrize("name", sorted(OURS))
def test_object_info_equals_the_recorded_one(name: str) -> None:
    if name in BEYOND:
        assert name not in REFERENCE
        return
    ours = json.loads(json.dumps(OURS[name].spec.object_info()))
    theirs = {**REFERENCE[name], **SINCE.get(name, {})}
    assert set(ours) - PRESENTATION == set(theirs) - PRESENTATION
    for key in set(theirs) - {"input"}:
        assert ours[key] == theirs[key], key
    assert list(ours["input"]) == list(theirs["input"])
    for group, inputs in theirs["input"].items():
        expected = {each: without_files(each, shape) for each, shape in inputs.items()}
        found = {
            each: without_files(each, without_tooltips(shape)) for each, shape in ours["input"][group].items()
        }
        assert found == expected
        assert list(found) == list(expected)


def test_what_we_have_not_is_of_another_world() -> None:
    listed = [name for names in OTHER_WORLDS.values() for name in names]
    assert len(listed) == len(set(listed)), "named once"
    assert set(listed) == set(REFERENCE) - set(OURS)
    assert set(OURS) - set(REFERENCE) == BEYOND


@pytest.mark.parametrize("node", OURS.values(), ids=lambda node: node.spec.name)
def test_every_node_and_input_is_explained(node: NativeNode) -> None:
    spec = node.spec
    title, _ = title_and_text(node._target.__doc__)
    assert title
    assert spec.display_name in (title, None) or spec.display_name == REFERENCE[spec.name]["display_name"]
    assert spec.description.endswith("."), "a description is whole sentences"
    for each in spec.inputs:
        if each.group != "hidden":
            tooltip = str((each.options or {}).get("tooltip", ""))
            assert tooltip.endswith("."), f"input {each.name!r} has no tooltip that is a sentence"


def test_explanations_are_short() -> None:
    for node in OURS.values():
        assert len(node.spec.description) < 500, node.spec.name
        for each in node.spec.inputs:
            assert len(str((each.options or {}).get("tooltip", ""))) < 240, (node.spec.name, each.name)
