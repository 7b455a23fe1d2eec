"""How what several towers say becomes one embedding, for the families whose way is their own.

Where a tower is missing, zeros of the width that its published weights have stand for it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusion.text.recipe import Embedding, Join, Said

CLIP_L_WIDTH, CLIP_G_WIDTH = 768, 1280
T5_WIDTH, LLAMA_WIDTH = 4096, 4096
HIDREAM_T5_TOKENS, HIDREAM_LAYERS = 128, 32


def one(key: str, mask: bool = False, whole_mask: bool = True) -> Join:
    """What one tower says, with its mask if asked for; `whole_mask`: even one that hides nothing."""

    def join(said: Said) -> Embedding:
        cond, _, read = said[key]
        shown = mask and read is not None and (whole_mask or not bool(read.all()))
        return Embedding(cond, None, {"attention_mask": read} if shown else {})

    return join


def alone(mask: bool = False, whole_mask: bool = True) -> Join:
    """The same for whichever tower there is."""
    return lambda said: one(next(iter(said)), mask, whole_mask)(said)


def with_pooled(said: Said) -> Embedding:
    """What the only tower says, with its pooled vector."""
    cond, pooled, _ = next(iter(said.values()))
    return Embedding(cond, pooled, {})


def flux(said: Said) -> Embedding:
    """T5's vectors, CLIP's pooled one."""
    return Embedding(said["t5xxl"].cond, said["l"].pooled, {})


def sd3(said: Said) -> Embedding:
    """CLIP's vectors side by side, as wide as T5's, which follow (Esser et al. 2024, arXiv 2403.03206)."""
    t5 = said["t5xxl"].cond if "t5xxl" in said else None
    parts = [] if t5 is None else [t5]
    if "l" in said or "g" in said:
        clips = _clips(said)
        width = max(T5_WIDTH if t5 is None else t5.shape[-1], clips.shape[-1])
        parts.insert(0, F.pad(clips, (0, width - clips.shape[-1])))
    pooled = torch.cat([_pooled(said, "l", CLIP_L_WIDTH), _pooled(said, "g", CLIP_G_WIDTH)], dim=-1)
    return Embedding(torch.cat(parts, dim=1), pooled, {})


def hidream(said: Said) -> Embedding:
    """T5's vectors; every layer of LLaMA's apart; both pooled vectors."""
    t5 = said["t5xxl"].cond if "t5xxl" in said else torch.zeros(1, HIDREAM_T5_TOKENS, T5_WIDTH)
    llama = said["llama"].cond[:, 1:] if "llama" in said else torch.zeros(1, HIDREAM_LAYERS, 1, LLAMA_WIDTH)
    pooled = torch.cat([_pooled(said, "l", CLIP_L_WIDTH), _pooled(said, "g", CLIP_G_WIDTH)], dim=-1)
    return Embedding(t5, pooled, {"conditioning_llama3": llama})


def hunyuan_dit(said: Said) -> Embedding:
    """BERT's vectors; mT5's apart; the masks of both."""
    bert, mt5 = said["hydit_clip"], said["mt5xl"]
    extra = {
        "attention_mask": bert.mask,
        "conditioning_mt5xl": mt5.cond,
        "attention_mask_mt5xl": mt5.mask,
    }
    return Embedding(bert.cond, None, extra)


def hunyuan_video(said: Said) -> Embedding:
    """LLaMA's vectors, CLIP's pooled one."""
    return one("llama", mask=True, whole_mask=False)(said)._replace(pooled=said["l"].pooled)


def hunyuan_image(said: Said) -> Embedding:
    """Qwen's vectors; those of what should be written in the picture apart, if there is any."""
    cond, pooled, extra = one("qwen25_7b", mask=True, whole_mask=False)(said)
    glyphs = {"conditioning_byt5small": said["byt5"].cond} if "byt5" in said else {}
    return Embedding(cond, pooled, {**extra, **glyphs})


def _clips(said: Said) -> Tensor:
    """The vectors of CLIP L and bigG side by side, as far as both reach; zeros for L when it is not there."""
    found = [said[key].cond for key in ("l", "g") if key in said]
    length = min(each.shape[1] for each in found)
    parts = [each[:, :length] for each in found]
    if "l" not in said:
        parts.insert(0, torch.zeros(1, length, CLIP_L_WIDTH))
    return torch.cat(parts, dim=-1)


def _pooled(said: Said, key: str, width: int) -> Tensor:
    pooled = said[key].pooled if key in said else None
    return torch.zeros(1, width) if pooled is None else pooled
