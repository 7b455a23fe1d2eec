"""Node types that have gone, and the types that took their place, as ComfyUI tells them."""

from __future__ import annotations

from typing import Any


def replaces(
    old: str,
    new: str,
    widgets: tuple[str, ...] | None = None,
    inputs: tuple[dict[str, Any], ...] | None = None,
) -> dict[str, Any]:
    """One replacement, in the shape of `GET /node_replacements`."""
    return {
        "new_node_id": new,
        "old_node_id": old,
        "old_widget_ids": None if widgets is None else list(widgets),
        "input_mapping": None if inputs is None else list(inputs),
        "output_mapping": None,
    }


REPLACEMENTS: tuple[dict[str, Any], ...] = (
    replaces("Load3DAnimation", "Load3D"),
    replaces("SDV_img2vid_Conditioning", "SVD_img2vid_Conditioning"),
    replaces(
        "ImageScaleBy",
        "ResizeImageMaskNode",
        ("upscale_method", "scale_by"),
        (
            {"new_id": "input", "old_id": "image"},
            {"new_id": "resize_type", "set_value": "scale by multiplier"},
            {"new_id": "resize_type.multiplier", "old_id": "scale_by"},
            {"new_id": "scale_method", "old_id": "upscale_method"},
        ),
    ),
    replaces(
        "ImageBatch",
        "BatchImagesNode",
        None,
        (
            {"new_id": "images.image0", "old_id": "image1"},
            {"new_id": "images.image1", "old_id": "image2"},
        ),
    ),
)
