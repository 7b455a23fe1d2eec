"""What SD3 is given beside the latent, from a conditioning's options: once a run."""

from __future__ import annotations

from collections.abc import Mapping

from diffusion.conditioning import Entry, Setting
from diffusion.errors import Mismatch
from diffusion.networks.backbone import Value


def sd3_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`pooled` [B, V], the sentence; zeros stand for none.

    Raises:
        Mismatch: the sentence has another width than the network reads, or the picture is too large for it.
    """
    sizes, latent = setting.model.sizes, setting.latent
    longer = -(-max(latent.shape[-2:]) // sizes.patch)
    if longer > sizes.places:
        most = sizes.places * sizes.patch * setting.model.latent_format.downscale
        found = (
            f"{setting.model.family.title} knows no place beyond {most} pixels, and the picture is larger."
        )
        raise Mismatch(found, "Choose a smaller size, and enlarge the picture afterwards.")
    pooled = entry.options.get("pooled_output")
    if pooled is None:
        return {}
    if pooled.shape[-1] != sizes.vector:
        found = (
            f"{setting.model.family.title} reads sentences of width {sizes.vector}, "
            f"and the {name} conditioning's has {pooled.shape[-1]}."
        )
        raise Mismatch(found, "Encode the text with CLIP-L, CLIP-G and T5 of Stable Diffusion 3 (type sd3).")
    return {"pooled": pooled.to(latent)}
