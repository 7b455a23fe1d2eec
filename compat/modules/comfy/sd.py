"""ComfyUI's `comfy.sd`: model files as the MODEL, CLIP and VAE that packs' nodes see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from compat.host import Host
from compat.values.passing import shown


class CLIPType(Enum):
    """Which family a text encoder is used for."""

    STABLE_DIFFUSION = 1
    STABLE_CASCADE = 2
    SD3 = 3
    STABLE_AUDIO = 4
    HUNYUAN_DIT = 5
    FLUX = 6
    MOCHI = 7
    LTXV = 8
    HUNYUAN_VIDEO = 9
    PIXART = 10
    COSMOS = 11
    LUMINA2 = 12
    WAN = 13
    HIDREAM = 14
    CHROMA = 15
    ACE = 16
    OMNIGEN2 = 17
    QWEN_IMAGE = 18
    HUNYUAN_IMAGE = 19


class Loading:
    """The functions over one host's folders and weights' keeper."""

    def __init__(self, host: Host) -> None:
        self.host = host

    @property
    def residency(self) -> Any:
        """The weights' keeper that the program provides, or None."""
        from diffusion.residency.budget import Residency

        return self.host.providers.get(Residency)

    def checkpoint(
        self,
        ckpt_path: str,
        output_vae: bool = True,
        output_clip: bool = True,
        output_clipvision: bool = False,
        embedding_directory: Any = None,
        output_model: bool = True,
        **_options: Any,
    ) -> tuple[Any, Any, Any, None]:
        """Model, CLIP and VAE of a checkpoint, those that are asked for; no CLIP vision."""
        from diffusion.families.checkpoints import load_checkpoint
        from nodes.text.embeddings import embedding_finder

        found = load_checkpoint(ckpt_path, self.residency, embedding_finder(self.host.folders))
        wanted = ((found.model, output_model), (found.text, output_clip), (found.vae, output_vae))
        model, clip, vae = (shown(value) if asked else None for value, asked in wanted)
        return model, clip, vae, None

    def unet(self, unet_path: str, **_options: Any) -> Any:
        """The model of a file."""
        from diffusion.families.checkpoints import load_unet

        return shown(load_unet(unet_path, self.residency))

    def clip(
        self,
        ckpt_paths: Sequence[str],
        embedding_directory: Any = None,
        clip_type: Any = None,
        **_options: Any,
    ) -> Any:
        """The text encoder of files, for a family by its `CLIPType`."""
        from diffusion.text.loading import load_text_encoder
        from nodes.text.embeddings import embedding_finder

        kind = clip_type.name.lower() if isinstance(clip_type, CLIPType) else "stable_diffusion"
        if kind == "stable_diffusion" and len(ckpt_paths) == 3:
            kind = "sd3"
        finder = embedding_finder(self.host.folders)
        return shown(load_text_encoder(ckpt_paths, self.residency, finder, kind))


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    loading = Loading(host)
    return {
        "CLIPType": CLIPType,
        "load_checkpoint_guess_config": loading.checkpoint,
        "load_clip": loading.clip,
        "load_diffusion_model": loading.unet,
        "load_unet": loading.unet,
    }
