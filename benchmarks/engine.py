"""What the engine itself costs: chains of trivial nodes, validated, keyed and run, then again all cached.

    python benchmarks/engine.py [--sizes 100 300 1000 3000 10000] [--repeat 3]

Prints the best time of each, and per node, by the clock and in processor time. Exits 1 when 10,000 nodes
take more processor time than promised, or when the cost per node grows with the size of the chain; by
processor time, so that a busy machine does not fail it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from execution.check.validation import validate
from execution.declare.node import Ui, node, node_types
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.job import Job
from execution.run.cache import Budgeted

PROMISED = {"run": 2.0, "cached": 0.3}
"""Seconds for 10,000 nodes."""
STEEPEST = 2.0
"""How much dearer a node of the longest chain may be than one of a chain of 1,000."""


@node("Next")
def following(value: int = 0, step: int = 1) -> int:
    """Next."""
    return value + step


@node("Show", output_node=True)
def show(value: int = 0) -> Ui:
    """Show."""
    return Ui(text=[value])


def chain(size: int) -> dict[str, Any]:
    """A prompt in which each node adds one to what the node before it gives."""
    prompt: dict[str, Any] = {"0": {"class_type": "Next", "inputs": {"value": 0, "step": 1}}}
    for index in range(1, size - 1):
        prompt[str(index)] = {"class_type": "Next", "inputs": {"value": [str(index - 1), 0], "step": 1}}
    prompt["show"] = {"class_type": "Show", "inputs": {"value": [str(size - 2), 0]}}
    return prompt


class Cost(NamedTuple):
    """What a piece of work takes, in seconds."""

    processor: float
    clock: float


def cost(work: Callable[[], object]) -> Cost:
    """Do a piece of work."""
    gc.collect()
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Cost(time.process_time() - processor, time.perf_counter() - clock)


def measure(size: int) -> dict[str, Cost]:
    """Seconds to validate, to validate and run, and to validate and find everything cached."""
    registry = Registry(node_types(sys.modules[__name__]))
    prompt, specs = chain(size), registry.specs()
    with Engine(registry, Budgeted(2**30)) as engine:

        def go() -> None:
            validation = validate(prompt, specs)
            result = engine.run_sync(Job("benchmark", prompt, validation.outputs))
            assert result.ui["show"]["text"] == [size - 1], result

        return {
            "validate": cost(lambda: validate(prompt, specs)),
            "run": cost(go),
            "cached": cost(go),
        }


def main() -> int:
    """Measure, print, judge."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000, 3000, 10_000])
    arguments.add_argument("--repeat", type=int, default=3)
    options = arguments.parse_args()
    print("milliseconds of processor time, µs a node (and milliseconds by the clock)")
    print(f"{'nodes':>7} {'validate':>26} {'validate+run':>26} {'all cached':>26}")
    best: dict[int, dict[str, Cost]] = {}
    for size in options.sizes:
        runs = [measure(size) for _ in range(options.repeat)]
        best[size] = {name: min(each[name] for each in runs) for name in runs[0]}
        columns = (
            f"{each.processor * 1e3:8.1f} {each.processor / size * 1e6:6.1f} ({each.clock * 1e3:8.1f})"
            for each in best[size].values()
        )
        print(f"{size:>7} " + " ".join(columns))
    return judge(best)


def judge(best: dict[int, dict[str, Cost]]) -> int:
    """Whether what is promised holds; 0 if so."""
    failures = 0
    for name, promised in PROMISED.items():
        if 10_000 in best and best[10_000][name].processor > promised:
            print(
                f"FAILED: {name} of 10,000 took {best[10_000][name].processor:.2f} s, promised {promised} s"
            )
            failures = 1
        if 10_000 in best and 1000 in best:
            ratio = best[10_000][name].processor / 10 / best[1000][name].processor
            print(f"{name}: a node of 10,000 costs {ratio:.2f} times one of 1,000")
            failures = 1 if ratio > STEEPEST else failures
    return failures


if __name__ == "__main__":
    sys.exit(main())
