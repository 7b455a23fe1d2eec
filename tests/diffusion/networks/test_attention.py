"""Attention is the textbook formula, head by head."""

import pytest
import torch
from torch import Tensor

from diffusion.networks.attention import attention, attention_weights


def textbook(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    out = []
    for head in range(heads):
        width = q.shape[-1] // heads
        part = slice(head * width, (head + 1) * width)
        scores = q[..., part] @ k[..., part].transpose(1, 2) / width**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        out.append(scores.softmax(-1) @ v[..., part])
    return torch.cat(out, dim=-1)


def tokens(count: int, width: int = 24) -> Tensor:
    return torch.randn(2, count, width)


@pytest.mark.parametrize("heads", [1, 2, 6])
def test_it_is_softmax_of_scaled_products(heads: int) -> None:
    q, k, v = tokens(7), tokens(5), tokens(5)
    assert torch.allclose(attention(q, k, v, heads), textbook(q, k, v, heads), atol=1e-5)


def test_a_mask_hides_and_causal_hides_what_follows() -> None:
    q, k, v = tokens(6), tokens(6), tokens(6)
    mask = torch.ones(6, 6, dtype=torch.bool).tril()
    expected = textbook(q, k, v, 3, mask)
    assert torch.allclose(attention(q, k, v, 3, mask=mask), expected, atol=1e-5)
    assert torch.allclose(attention(q, k, v, 3, causal=True), expected, atol=1e-5)


def test_the_weights_are_those_it_uses() -> None:
    q, k, v = tokens(7), tokens(5), tokens(5)
    weights = attention_weights(q, k, 2)
    assert weights.shape == (2, 2, 7, 5)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 2, 7), atol=1e-5)
    heads = v.unflatten(-1, (2, 12)).transpose(1, 2)
    assert torch.allclose((weights @ heads).transpose(1, 2).flatten(2), attention(q, k, v, 2), atol=1e-5)


def test_tokens_need_not_lie_in_order() -> None:
    q, k, v = (torch.randn(2, 24, 7).transpose(1, 2) for _ in range(3))
    expected = textbook(q, k, v, 2)
    assert torch.allclose(attention(q, k, v, 2), expected, atol=1e-5)
