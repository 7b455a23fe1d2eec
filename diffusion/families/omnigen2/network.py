"""OmniGen2's network (Wu et al. 2025, arXiv 2506.18871): Lumina's blocks, with pictures to look at.

Text, the pictures that are looked at and the one that is drawn are refined by themselves first, then go
through the layers together. The blocks are diffusers' classes; how they follow each other is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffusion.conditioning import Entry, Setting
from diffusion.errors import Mismatch
from diffusion.hooks import Hooks
from diffusion.images import to_batch
from diffusion.networks.backbone import Inputs, Value
from diffusion.networks.spots import Spot, turns
from diffusion.networks.zoo import IMAGE, Blocks, Zoo, built, patches, unpatched, wrapped
from diffusion.weights.entries import Weights
from diffusion.weights.shapes import counted

HEAD = 120  # channels of an attention head
AXES = (40, 40, 40)  # of a head, turned by place in the sequence, row and column
PATCH = 2
ROUNDED, EPS = 256, 1e-5
THOUSAND = 1000.0  # the network's clock runs from 0 at noise to a thousand
POINTS = frozenset({"block.call", "attention.self.attend"})
"""Hook points inside the network."""
MODULE = "transformers.transformer_lumina2"


@dataclass(frozen=True)
class OmniGenSizes:
    """Read off a file; channels are of the latent, not of its patches. `seen`: how many pictures at most."""

    width: int
    in_channels: int
    text: int
    layers: int
    refiners: int
    key_heads: int
    seen: int

    @property
    def heads(self) -> int:
        """Attention heads."""
        return self.width // HEAD


def omnigen_sizes(weights: Weights) -> OmniGenSizes:
    """The sizes of a file's network; keys and values have fewer heads than queries."""
    width, tokens = weights["x_embedder.weight"].shape
    return OmniGenSizes(
        width=width,
        in_channels=tokens // PATCH**2,
        text=weights["time_caption_embed.caption_embedder.1.weight"].shape[1],
        layers=counted(weights, "layers.{}.attn.to_q.weight"),
        refiners=counted(weights, "noise_refiner.{}.attn.to_q.weight"),
        key_heads=weights["layers.0.attn.to_k.weight"].shape[0] // HEAD,
        seen=weights["image_index_embedding"].shape[0],
    )


def omnigen_inputs(entry: Entry, name: str, setting: Setting) -> Mapping[str, Value]:
    """`references`: latents of pictures that are looked at; `context`: the text without its padding.

    Raises:
        Mismatch: there are more pictures than the network tells apart.
    """
    found: dict[str, Value] = {}
    given, most = entry.options.get("reference_latents") or (), setting.model.sizes.seen
    if len(given) > most:
        problem = f"OmniGen2 looks at {most} pictures at most, and the {name} conditioning has {len(given)}."
        raise Mismatch(problem, "Take away some of the nodes that add reference latents.")
    if given:
        into = setting.model.latent_format.into
        found["references"] = [into(each.to(setting.latent)) for each in given]
    mask = entry.options.get("attention_mask")
    if mask is not None and bool(mask.any()) and not bool(mask.all()):
        found["context"] = entry.embedding[:, mask[0].bool().to(entry.embedding.device)]
    return found


class OmniGen2(Zoo):
    """The backbone. See `omnigen_inputs` for what it is given beside latent, time and text."""

    blocks = (
        Blocks("context_refiner", "context_refiner", (IMAGE,)),
        Blocks("ref_image_refiner", "ref_image_refiner", (IMAGE,)),
        Blocks("noise_refiner", "noise_refiner", (IMAGE,)),
        Blocks("layer", "layers", (IMAGE,)),
    )

    def __init__(self, sizes: OmniGenSizes) -> None:
        network = built(
            MODULE,
            "Lumina2Transformer2DModel",
            in_channels=sizes.in_channels,
            hidden_size=sizes.width,
            num_layers=sizes.layers,
            num_refiner_layers=sizes.refiners,
            num_attention_heads=sizes.heads,
            num_kv_heads=sizes.key_heads,
            cap_feat_dim=sizes.text,
            axes_dim_rope=AXES,
            axes_lens=(1, 1, 1),
        )
        network.ref_image_patch_embedder = nn.Linear(sizes.in_channels * PATCH**2, sizes.width, device="meta")
        refiners = (refiner(sizes) for _ in range(sizes.refiners))
        network.ref_image_refiner = nn.ModuleList(refiners)
        network.image_index_embedding = nn.Parameter(torch.empty(sizes.seen, sizes.width, device="meta"))
        super().__init__(network)

    def predict(self, x: Tensor, timesteps: Tensor, inputs: Inputs, hooks: Hooks) -> Tensor:
        """The velocity at x [B, C, H, W]; timesteps [B] are sigmas. The network gives its negative."""
        height, width = x.shape[-2:]
        dtype: torch.dtype = self.x_embedder.weight.dtype  # type: ignore[union-attr, assignment]
        given: Any = inputs.tensors.get("references") or ()
        pictures = [
            wrapped(each, PATCH).to(dtype) for each in (x, *(to_batch(each, len(x)) for each in given))
        ]
        words = inputs.context.shape[1]
        drawn, *seen = placed(words, pictures)
        with self.visited(x, inputs, hooks):
            time, text = self.part("time_caption_embed")(
                pictures[0], THOUSAND * (1 - timesteps.float()), inputs.context.to(dtype)
            )
            along = turned(torch.arange(words, device=x.device)[:, None].expand(-1, len(AXES)))
            text = self.through("context_refiner", text, along)
            looked = self._looked(pictures[1:], seen, time)
            image = self.part("x_embedder")(fastest(pictures[0]))
            image = self.through("noise_refiner", image, turned(drawn.ids(x.device)), time)
            places = [along, *(turned(spot.ids(x.device)) for spot in (*seen, drawn))]
            tokens = torch.cat([text, *looked, image], dim=1)
            tokens = self.through("layers", tokens, torch.cat(places, dim=1), time)
            out = self.part("norm_out")(tokens[:, -image.shape[1] :], time)
        return -slowest(out, height, width)

    def _looked(self, pictures: Sequence[Tensor], spots: Sequence[Spot], time: Tensor) -> list[Tensor]:
        """The tokens of all pictures that are looked at, refined together, each told which one it is."""
        if not pictures:
            return []
        embed, indices = self.part("ref_image_patch_embedder"), self.image_index_embedding
        tokens = [embed(fastest(each)) + indices[number] for number, each in enumerate(pictures)]  # type: ignore[index]
        places = torch.cat([turned(spot.ids(time.device)) for spot in spots], dim=1)
        return [self.through("ref_image_refiner", torch.cat(tokens, dim=1), places, time)]

    def part(self, name: str) -> nn.Module:
        """One of the network's modules."""
        return self.get_submodule(name)

    def through(self, name: str, tokens: Tensor, places: Tensor, time: Tensor | None = None) -> Tensor:
        """Tokens [B, N, W] through a list of blocks."""
        for block in self.part(name).children():
            tokens = block(tokens, None, places, time)
        return tokens


def refiner(sizes: OmniGenSizes) -> nn.Module:
    """A block for pictures that are looked at."""
    return built(
        MODULE,
        "Lumina2TransformerBlock",
        dim=sizes.width,
        num_attention_heads=sizes.heads,
        num_kv_heads=sizes.key_heads,
        multiple_of=ROUNDED,
        ffn_dim_multiplier=None,
        norm_eps=EPS,
    )


def placed(words: int, pictures: Sequence[Tensor]) -> list[Spot]:
    """Where pictures [B, C, H, W] lie behind so many words: the first, which is drawn, behind all others."""
    sides = [(each.shape[-2] // PATCH, each.shape[-1] // PATCH) for each in pictures]
    begin, spots = words, list[Spot]()
    for rows, columns in sides[1:]:
        spots.append(Spot(rows, columns, begin))
        begin += max(rows, columns)
    return [Spot(*sides[0], begin), *spots]


def turned(ids: Tensor) -> Tensor:
    """The turns of places [N, 3]: complex [1, N, 60]."""
    return turns(ids, AXES)[None]


def fastest(x: Tensor) -> Tensor:
    """[B, C, H, W] → tokens [B, N, p·p·C], channels fastest inside a token."""
    tokens = patches(x, PATCH)
    batch, number, width = tokens.shape
    return tokens.reshape(batch, number, -1, PATCH**2).transpose(2, 3).reshape(batch, number, width)


def slowest(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `fastest` for a latent of this size."""
    batch, number, wide = tokens.shape
    tokens = tokens.reshape(batch, number, PATCH**2, -1).transpose(2, 3).reshape(batch, number, wide)
    return unpatched(tokens, height, width, PATCH)
