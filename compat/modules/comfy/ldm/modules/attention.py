"""ComfyUI's `comfy.ldm.modules.attention`: attention as a function. Its modules are placeholders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from compat.host import Host
from diffusion.networks.attention import attention


def optimized_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    mask: Tensor | None = None,
    attn_precision: Any = None,
    skip_reshape: bool = False,
    skip_output_reshape: bool = False,
    **_kwargs: Any,
) -> Tensor:
    """Attention over `B×N×(heads·d)`, or `B×heads×N×d` with `skip_reshape`; see `diffusion.attention`."""
    if skip_reshape:
        q, k, v = (each.movedim(1, 2).flatten(2) for each in (q, k, v))
    if mask is not None and mask.ndim == 2:
        mask = mask[None, None]
    elif mask is not None and mask.ndim == 3:
        mask = mask[:, None]
    out = attention(q, k, v, heads, mask)
    split = (*out.shape[:2], heads, out.shape[2] // heads)
    return out.reshape(split).movedim(2, 1) if skip_output_reshape else out


def names(host: Host) -> Mapping[str, Any]:
    """What packs import."""
    return {
        **dict.fromkeys(("attention_basic", "attention_pytorch", "attention_split"), optimized_attention),
        "optimized_attention": optimized_attention,
        "optimized_attention_for_device": lambda device, mask=False, small_input=False: optimized_attention,
        "optimized_attention_masked": optimized_attention,
    }
