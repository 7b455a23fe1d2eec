"""Attention over tokens, in one place so that a faster kernel serves every model."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def attention(
    q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    """softmax(q kᵀ / √d) v for each head; q [B, N, heads·d], k and v [B, M, heads·d] → [B, N, heads·d].

    `mask` is True where a query may look, or is added to the scores; it broadcasts to [B, heads, N, M].
    """
    q, k, v = (_split(t, heads) for t in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    return _merge(out)


def attention_weights(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """softmax(q kᵀ / √d) itself, [B, heads, N, M], for methods that look at where attention goes."""
    q, k = _split(q, heads), _split(k, heads)
    scores = torch.einsum("bhnd,bhmd->bhnm", q.float(), k.float()) / q.shape[-1] ** 0.5
    weights: Tensor = scores.softmax(dim=-1)
    return weights


def _split(tokens: Tensor, heads: int) -> Tensor:
    batch, count, width = tokens.shape
    return tokens.reshape(batch, count, heads, width // heads).transpose(1, 2)


def _merge(tokens: Tensor) -> Tensor:
    batch, heads, count, width = tokens.shape
    return tokens.transpose(1, 2).reshape(batch, count, heads * width)
