"""Conditioning for models that go on from a picture: enlarged, set in motion, or seen from elsewhere."""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from diffusion.families.sd.pictures import camera_position
from diffusion.images import resize
from diffusion.weights.loading import Check
from execution.declare.node import Range, Run, Tip, node
from nodes.latent.vae import Autoencoder
from nodes.latent.vae import present as present_vae
from nodes.sockets import ClipVision, Conditioning, Image, Latent, Picture
from nodes.text.conditioning import AnyConditioning, with_values
from nodes.widgets import MAX_SIDE, Batch

Side = Annotated[int, Range(16, MAX_SIDE, step=8), Tip("Of the result, in pixels.")]
Frames = Annotated[int, Range(1, 4096), Tip("How many frames the clip has.")]
HalfTurn = Annotated[float, Range(-180.0, 180.0, step=0.1, round=False)]
Elevation = Annotated[HalfTurn, Tip("How far the camera rises over the picture's view, in degrees.")]
Azimuth = Annotated[HalfTurn, Tip("How far the camera goes around the thing, in degrees.")]
Seeing = Annotated[ClipVision, Tip("The picture encoder, usually the one of the checkpoint.")]
First = Annotated[Image, Tip("The picture to go on from.")]


class Start(NamedTuple):
    """What to go towards, what away from, and the empty latent to do it in."""

    positive: Conditioning
    negative: Conditioning
    latent: Latent


@node("SD_4XUpscale_Conditioning", category="conditioning/upscale_diffusion", display_name=None)
def upscale_conditioning(
    images: Picture,
    positive: AnyConditioning,
    negative: AnyConditioning,
    scale_ratio: Annotated[
        float, Range(0.0, 10.0, step=0.01), Tip("How much larger the result is; the model is made for 4.")
    ] = 4.0,
    noise_augmentation: Annotated[
        float, Range(0.0, 1.0, step=0.001), Tip("How much to noise the picture; more invents more detail.")
    ] = 0.0,
) -> Start:
    """SD_4XUpscale_Conditioning.

    Gives the picture to be enlarged to the Stable Diffusion x4 upscaler.
    """
    width, height = (max(1, round(side * scale_ratio) // 4) for side in (images.shape[2], images.shape[1]))
    small = resize(images[..., :3].movedim(-1, 1) * 2 - 1, width, height, "bilinear", "center")
    facts = {"concat_image": small, "noise_augmentation": noise_augmentation}
    latent = torch.zeros(len(images), 4, height, width)
    return Start(with_values(positive, **facts), with_values(negative, **facts), {"samples": latent})


@node("SVD_img2vid_Conditioning", category="conditioning/video_models")
def video_conditioning(
    clip_vision: Seeing,
    init_image: First,
    vae: Autoencoder,
    width: Side = 1024,
    height: Side = 576,
    video_frames: Frames = 14,
    motion_bucket_id: Annotated[int, Range(1, 1023), Tip("How much moves; more moves more.")] = 127,
    fps: Annotated[int, Range(1, 1024), Tip("Frames a second, as the model is told.")] = 6,
    augmentation_level: Annotated[
        float, Range(0.0, 10.0, step=0.01), Tip("How much to noise the picture; more lets it change more.")
    ] = 0.0,
    *,
    run: Run,
) -> Start:
    """SVD_img2vid_Conditioning.

    Gives Stable Video Diffusion the picture to set in motion.
    """
    seen = _seen(clip_vision, init_image, run.check)[:, None]
    pixels = _fitted(init_image, width, height)
    if augmentation_level:
        noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
        pixels = pixels + noise * augmentation_level
    picture = present_vae(vae).encode(pixels, run.check)
    facts = {"motion_bucket_id": motion_bucket_id, "fps": fps, "augmentation_level": augmentation_level}
    return _start(seen, seen, picture, video_frames, width, height, **facts)


@node("SV3D_Conditioning", category="conditioning/3d_models", display_name=None)
def orbit_conditioning(
    clip_vision: Seeing,
    init_image: First,
    vae: Autoencoder,
    width: Side = 576,
    height: Side = 576,
    video_frames: Frames = 21,
    elevation: Annotated[
        float, Range(-90.0, 90.0, step=0.1, round=False), Tip("How high the camera is, in degrees.")
    ] = 0.0,
    *,
    run: Run,
) -> Start:
    """SV3D_Conditioning.

    Gives Stable Video 3D the picture of a thing to go around once.
    """
    seen = _seen(clip_vision, init_image, run.check)[:, None]
    picture = present_vae(vae).encode(_fitted(init_image, width, height), run.check)
    turn = 360 / (max(video_frames, 2) - 1)
    path = {
        "elevation": [elevation] * video_frames,
        "azimuth": [turn * number for number in range(video_frames)],
    }
    return _start(seen, seen, picture, video_frames, width, height, **path)


@node("StableZero123_Conditioning", category="conditioning/3d_models", display_name=None)
def view_conditioning(
    clip_vision: Seeing,
    init_image: First,
    vae: Autoencoder,
    width: Side = 256,
    height: Side = 256,
    batch_size: Annotated[Batch, Tip("How many pictures of the view.")] = 1,
    elevation: Elevation = 0.0,
    azimuth: Azimuth = 0.0,
    *,
    run: Run,
) -> Start:
    """StableZero123_Conditioning.

    Gives Stable Zero123 the picture of a thing and where to see it from.
    """
    views = [(elevation, azimuth)]
    seen = _seen(clip_vision, init_image, run.check)[None]
    picture = present_vae(vae).encode(_fitted(init_image, width, height), run.check)
    return _start(_viewed(seen, views), seen, picture, batch_size, width, height)


@node("StableZero123_Conditioning_Batched", category="conditioning/3d_models", display_name=None)
def views_conditioning(
    clip_vision: Seeing,
    init_image: First,
    vae: Autoencoder,
    width: Side = 256,
    height: Side = 256,
    batch_size: Annotated[Batch, Tip("How many views.")] = 1,
    elevation: Elevation = 0.0,
    azimuth: Azimuth = 0.0,
    elevation_batch_increment: Annotated[HalfTurn, Tip("Added to the elevation for each next view.")] = 0.0,
    azimuth_batch_increment: Annotated[HalfTurn, Tip("Added to the azimuth for each next view.")] = 0.0,
    *,
    run: Run,
) -> Start:
    """StableZero123_Conditioning_Batched.

    Gives Stable Zero123 the picture of a thing and several places to see it from, all with the same noise.
    """
    views = [
        (elevation + n * elevation_batch_increment, azimuth + n * azimuth_batch_increment)
        for n in range(batch_size)
    ]
    seen = _seen(clip_vision, init_image, run.check)[None]
    picture = present_vae(vae).encode(_fitted(init_image, width, height), run.check)
    start = _start(_viewed(seen, views), seen, picture, batch_size, width, height)
    return start._replace(latent={**start.latent, "batch_index": [0] * batch_size})


def _seen(clip_vision: ClipVision | None, image: Tensor, check: Check) -> Tensor:
    """What the picture encoder makes of pictures. [B, P]

    Raises:
        ValueError: there is no picture encoder; says where to get one.
    """
    if clip_vision is None:
        raise ValueError(
            "input 'clip_vision' is empty: the file holds no picture encoder; load one with CLIPVisionLoader"
        )
    return clip_vision.encode(image, check=check)["image_embeds"]


def _fitted(image: Tensor, width: int, height: int) -> Tensor:
    """A picture B×H×W×C cut and scaled to a size, without transparency."""
    return resize(image[..., :3].movedim(-1, 1), width, height, "bilinear", "center").movedim(1, -1)


def _viewed(seen: Tensor, views: Sequence[tuple[float, float]]) -> Tensor:
    """The picture's embedding [1, T, P] beside where each view's camera is. [V, T, P + 4]"""
    cameras = torch.stack([camera_position(*view) for view in views])[:, None]
    return torch.cat([seen.expand(len(views), -1, -1), cameras.expand(-1, seen.shape[1], -1)], dim=-1)


def _start(
    wanted: Tensor, seen: Tensor, picture: Tensor, rows: int, width: int, height: int, **facts: Any
) -> Start:
    """Towards what is wanted of a picture, away from nothing seen and no picture."""
    positive = [[wanted, {**facts, "concat_latent_image": picture}]]
    negative = [[torch.zeros_like(seen), {**facts, "concat_latent_image": torch.zeros_like(picture)}]]
    latent = torch.zeros(rows, picture.shape[1], height // 8, width // 8)
    return Start(positive, negative, {"samples": latent})
