"""What the first network of diffusers costs: the seconds of its import, and of building it.

    python -m benchmarks.first_network [--rounds 5]

Each round starts a fresh Python in turns: ours builds FLUX's network of real size without weights, the peer
imports diffusers' own pipeline of it. Seconds count from after torch is imported, of the processor and by
the clock; the ratio is the peer's divided by ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OURS = """
from diffusion.families.flux.network import Flux, FluxSizes
Flux(FluxSizes(3072, 16, 16, 4096, 768, 19, 38, True))
"""
PEER = "from diffusers import FluxPipeline"
MEASURED = """
import json, time, torch
cpu, wall = time.process_time(), time.perf_counter()
{code}
print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]))
"""


def seconds(code: str) -> tuple[float, float]:
    """Processor and clock seconds of some code in a fresh Python that has torch."""
    command = [sys.executable, "-W", "ignore", "-c", MEASURED.format(code=code)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    processor, clock = json.loads(done.stdout.strip().splitlines()[-1])
    return processor, clock


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found = [(seconds(OURS), seconds(PEER)) for _ in range(rounds)]
    for index, kind in enumerate(("processor", "clock")):
        ours, peer = (statistics.median(pair[side][index] for pair in found) for side in (0, 1))
        print(f"{kind:9}  ours {ours:.2f} s  diffusers' pipeline {peer:.2f} s  ratio {peer / ours:.2f}")


if __name__ == "__main__":
    main()
