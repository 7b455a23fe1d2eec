"""Hooks that a conditioning's options ask for: its own, words in boxes, words looked at more or less."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusion.hooks import Hook, Hooks, Place
from diffusion.networks.attention import attention


def option_hooks(
    options: Mapping[str, Any], tokens: int, latent: Tensor, has: Callable[[str], bool] = lambda point: True
) -> Hooks | None:
    """The hooks of an entry of so many tokens, for a latent [B, C, H, W]; None if there are none.

    `has` says whether the network has a point: a bias of words acts where there is attention to words alone.
    Where words and picture share their attention, the family's inputs see to it.
    """
    own = options.get("hooks")
    hooks = own if isinstance(own, Hooks) else None
    if "gligen" in options:
        _, gligen, positions = options["gligen"]
        grounding = gligen.grounding(positions, *latent.shape[-2:])
        hooks = grounding if hooks is None else hooks + grounding
    shared = has("attention.self.attend") and not has("attention.cross.attend")
    if "token_bias" in options and not shared:
        biased = (Biased(_of_length(options["token_bias"], tokens)),)
        hooks = (hooks or Hooks()).adding("attention.cross.attend", *biased)
    return hooks


@dataclass(frozen=True, eq=False)
class Biased:
    """Attention to the text with something added to the score of each token."""

    bias: Tensor

    def __call__(self, place: Place, q: Tensor, k: Tensor, v: Tensor, attend: Hook) -> Tensor:
        repeated = self.bias.to(q).repeat(k.shape[1] // len(self.bias))
        return attention(q, k, v, place.heads, repeated[None, None, None])


def _of_length(bias: Tensor, tokens: int) -> Tensor:
    return torch.cat([bias[:tokens], bias.new_zeros(max(0, tokens - len(bias)))])
