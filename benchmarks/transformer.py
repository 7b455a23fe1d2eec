"""FLUX's network, ours and diffusers', on the same weights, in turns: blocks of real size, a small whole run.

    python -m benchmarks.transformer [--rounds 5] [--tokens 1024] [--text 256] [--steps 8]

Two parts, each in float32 and, where the processor multiplies it natively, in bfloat16. *Blocks*: a network
of FLUX's width with one double and one single block, one call a round. *Run*: a small network over all the
steps of a run, ours with what stays the same kept between steps, as in a real run; the peer calls its class
as its pipeline does, which embeds text and places anew each time. Ratios are the peer's median divided by
ours: above 1 ours is faster. The largest difference is printed beside: none in float32; in bfloat16 the class
rounds the time before it embeds it, ours keeps it in float32.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from diffusion.families.flux.network import AXES, Flux, FluxSizes
from diffusion.hooks import Hooks
from diffusion.networks.backbone import Inputs
from diffusion.networks.zoo import patches, unpatched
from diffusion.residency.precision import multiplies_bfloat16

BLOCKS = FluxSizes(
    width=3072, in_channels=16, out_channels=16, text=4096, vector=768, doubles=1, singles=1, guidance=True
)
SMALL = FluxSizes(
    width=512, in_channels=16, out_channels=16, text=4096, vector=768, doubles=4, singles=8, guidance=True
)
SCALE, SEED = 3.5, 7


@dataclass
class Case:
    """A network with what it is given."""

    network: Flux
    x: Tensor
    text: Tensor
    pooled: Tensor
    steps: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "diffusers": []})


def case(sizes: FluxSizes, dtype: torch.dtype, options: argparse.Namespace, steps: int) -> Case:
    """A network of these sizes with weights that mean nothing, and a square latent of so many tokens."""
    torch.manual_seed(SEED)
    network = Flux(sizes)
    weights = {
        name: torch.randn(each.shape, dtype=dtype) * 0.02 for name, each in network.state_dict().items()
    }
    network.load_state_dict(weights, assign=True)
    side = 2 * round(options.tokens**0.5)
    x, text = torch.randn(1, 16, side, side), torch.randn(1, options.text, sizes.text)
    return Case(network, x, text, torch.randn(1, sizes.vector), steps)


def ours(given: Case) -> Tensor:
    """The velocities of a run's last step, by our backbone."""
    guidance = torch.tensor([SCALE])
    inputs = Inputs(given.text, {"pooled": given.pooled, "guidance": guidance}, kept={})
    out = given.x
    for step in range(given.steps):
        out = given.network.predict(given.x, sigma(step, given.steps), inputs, Hooks())
    return out


def diffusers(given: Case) -> Tensor:
    """The same by the class as diffusers' pipeline calls it."""
    network: Any = given.network.network
    dtype = given.network.proj_out.weight.dtype
    rows = given.x.shape[-1] // 2
    places = torch.zeros(rows, rows, len(AXES))
    places[..., 1] += torch.arange(rows)[:, None]
    places[..., 2] += torch.arange(rows)
    out = given.x
    for step in range(given.steps):
        tokens = network(
            hidden_states=patches(given.x).to(dtype),
            encoder_hidden_states=given.text.to(dtype),
            pooled_projections=given.pooled.to(dtype),
            timestep=sigma(step, given.steps),
            guidance=torch.tensor([SCALE]),
            img_ids=places.reshape(-1, len(AXES)),
            txt_ids=torch.zeros(given.text.shape[1], len(AXES)),
            return_dict=False,
        )[0]
        out = unpatched(tokens, *given.x.shape[-2:])
    return out


def sigma(step: int, steps: int) -> Tensor:
    """An even falling schedule."""
    return torch.tensor([1 - step / steps])


@torch.no_grad()
def measured(given: Case, rounds: int) -> float:
    """Times both sides in turns, after a call of each; gives their largest relative difference."""
    sides: dict[str, Callable[[Case], Tensor]] = {"ours": ours, "diffusers": diffusers}
    first = {name: run(given).float() for name, run in sides.items()}
    for _ in range(rounds):
        for name, run in sides.items():
            started = time.perf_counter()
            run(given)
            given.seconds[name].append(time.perf_counter() - started)
    return float((first["ours"] - first["diffusers"]).abs().max() / first["diffusers"].abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=1024, help="of the latent; 1024 is a picture of 512²")
    parser.add_argument("--text", type=int, default=256, help="tokens of the text")
    parser.add_argument("--steps", type=int, default=8, help="of the small run")
    options = parser.parse_args()
    dtypes = [torch.float32, *([torch.bfloat16] if multiplies_bfloat16() else [])]
    print(f"{torch.get_num_threads()} threads, {options.tokens} + {options.text} tokens")
    for title, sizes, steps in (("blocks", BLOCKS, 1), ("run", SMALL, options.steps)):
        for dtype in dtypes:
            given = case(sizes, dtype, options, steps)
            apart = measured(given, options.rounds)
            mine, theirs = (statistics.median(given.seconds[name]) for name in ("ours", "diffusers"))
            print(
                f"{title:7} {str(dtype).removeprefix('torch.'):9} ours {mine:6.3f} s"
                f"  diffusers {theirs:6.3f} s  ratio {theirs / mine:.2f}  largest difference {apart:.1e}"
            )


if __name__ == "__main__":
    main()
