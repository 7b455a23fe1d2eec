"""Models of real size: recognised, loaded whole, sampled, and how much memory that takes at most.

    python -m benchmarks.real_size [NAME …] [--folder FOLDER]

Writes a stand-in with the keys and shapes of each published file into a folder of its own (deleted after),
one at a time, and uses it in a process of its own: the text is encoded, a small picture is sampled for two
steps with guidance and decoded. Printed are tensors that were missing or left over, the seconds from opening
the file to the picture, and the peak of resident memory beside the bytes of all weights in the types they
compute in; the aim is at most 1.3 times these and 1 GB.

A transformer is asked for alone, in a number type or a format that it is packed in (`flux_dev:Q4_0`,
`flux_dev:F8_E4M3`): its file is a header with a hole behind, one step is made from a text that is made up,
and what is resident is what the file packs.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tests.diffusion.sparse_files import transformers, write_hole
from tests.golden.weights import manifests, single_thread, tensor_for

ROOT = Path(__file__).parent.parent
NAMES = ("sd15", "sd15_inpaint", "sd21v", "sdxl_base", "sdxl_refiner", "controlnet_sd15")
TRANSFORMERS = ("flux_dev:Q4_0", "flux_dev:F8_E4M3")
CONTROLLED = "sd15"  # what a control network is tried with
ALONE = "transformer-"  # how the file of a diffusion model alone is called
SIDE = 16  # of the latent
GIGABYTE = 1e9
UNUSED = re.compile(r"\.position_ids$|\.logit_scale$")  # constants that published files carry along


def write(name: str, path: Path) -> Path:
    """A stand-in, a tensor at a time."""
    manifest = manifests()[name]
    header: dict[str, Any] = {}
    end = 0
    for key, shape in manifest.items():
        kind, width = ("I64", 8) if key.endswith("position_ids") else ("F16", 2)
        start, end = end, end + math.prod(shape) * width
        header[key] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file, single_thread():
        file.write(struct.pack("<Q", len(text)) + text)
        for key, shape in manifest.items():
            tensor = tensor_for(key, tuple(shape))
            file.write((tensor.half() if tensor.is_floating_point() else tensor).numpy().tobytes())
    return path


def measured(paths: Sequence[Path]) -> dict[str, Any]:
    """A checkpoint, and perhaps a control network, used in this process."""
    from diffusion.control.control_files import load_controlnet
    from diffusion.families.checkpoints import load_checkpoint
    from diffusion.guidance.guidance import CFGGuider
    from diffusion.noise.draws import starting_noise
    from diffusion.residency.budget import Residency
    from diffusion.samplers import SAMPLERS
    from diffusion.sampling import sample, schedule

    began, residency = time.perf_counter(), Residency(device="cpu")
    loaded = load_checkpoint(paths[0], residency)
    assert loaded.model is not None
    assert loaded.text is not None
    assert loaded.vae is not None
    residents: list[Any] = [loaded.model.backbone, loaded.vae.resident]
    residents += [tower.resident for tower in loaded.text.towers]
    options: dict[str, Any] = {}
    if len(paths) > 1:
        network = load_controlnet(paths[1], residency)
        options["control"] = network.applied(torch.rand(1, SIDE * 8, SIDE * 8, 3), 1.0, 0.0, 1.0)
        residents = [*residents, network.network(loaded.model)]  # type: ignore[attr-defined]
    missing, left = accounted(residents, paths)
    conditionings = []
    for text in ("a fox in the snow", ""):
        embedding = loaded.text.text(text)
        conditionings.append([[embedding.cond, {"pooled_output": embedding.pooled, **options}]])
    model = loaded.model
    latent = torch.zeros(1, 4, SIDE, SIDE)
    sigmas = schedule(model.prediction, "normal", 2)
    guider = CFGGuider(model, *conditionings, 5.0)
    result = sample(guider, starting_noise(latent.shape, 1), latent, SAMPLERS["euler"], sigmas)
    picture = loaded.vae.decode(result.latent)
    assert result.latent.isfinite().all()
    assert picture.isfinite().all()
    return {
        "family": loaded.model.family.name,
        "missing": missing,
        "left": left,
        "seconds": time.perf_counter() - began,
        "bytes": sum(
            math.prod(entry.shape) * each.dtype.itemsize
            for each in residents
            for entry in each.weights.values()
        ),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "file": sum(path.stat().st_size for path in paths),
    }


def measured_transformer(path: Path) -> dict[str, Any]:
    """One step of a diffusion model alone."""
    from diffusion.families.checkpoints import load_unet
    from diffusion.families.detect import require
    from diffusion.guidance.guidance import CFGGuider
    from diffusion.noise.draws import starting_noise
    from diffusion.residency.budget import Residency
    from diffusion.samplers import SAMPLERS
    from diffusion.sampling import sample, schedule
    from diffusion.weights.files import open_weights

    began, residency = time.perf_counter(), Residency(device="cpu")
    found = require(open_weights(path))
    model = load_unet(path, residency)
    with torch.device("meta"):
        shapes = {name: tuple(each.shape) for name, each in model.backbone.build().state_dict().items()}
    layout = found.family.layout
    left = layout.left_over(found.weights, shapes) if layout is not None else []
    width = found.family.text_width(found.sizes) if found.family.text_width is not None else 4096
    line = [[torch.randn(1, 16, width), {"pooled_output": torch.randn(1, 768)}]]
    latent = torch.zeros(1, model.latent_format.channels, SIDE, SIDE)
    guider = CFGGuider(model, line, line, 1.0)
    sigmas = schedule(model.prediction, "simple", 1)
    result = sample(guider, starting_noise(latent.shape, 1), latent, SAMPLERS["euler"], sigmas)
    assert result.latent.isfinite().all()
    return {
        "family": model.family.name,
        "missing": [name for name in shapes if name not in model.backbone.weights],
        "left": left,
        "seconds": time.perf_counter() - began,
        "bytes": residency.bytes,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "file": path.stat().st_size,
    }


def accounted(residents: Sequence[Any], paths: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Tensors that a module wants and no file has, and those of the files that no module wants."""
    missing: list[str] = []
    for each in residents:
        with torch.device("meta"):
            wanted = each.build().state_dict()
        missing += [name for name in wanted if name not in each.weights]
        missing += [name for name in each.weights if name not in wanted and not beside(name)]
    counts = sum(len(each.weights) for each in residents)
    keys = [key for path in paths for key in header_of(path) if not UNUSED.search(key)]
    packed = sum(".in_proj_" in key for key in keys) * 2  # each becomes three
    return missing, ["?"] * abs(len(keys) + packed - counts)


def beside(name: str) -> bool:
    """Whether a tensor is a marker that belongs to a UNet without being one of its weights."""
    from diffusion.families import families

    return any(name in family.beside for family in families())


def header_of(path: Path) -> dict[str, Any]:
    """The table of tensors of a safetensors file."""
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        table: dict[str, Any] = json.loads(file.read(size))
    table.pop("__metadata__", None)
    return table


def in_its_own_process(paths: Sequence[Path]) -> dict[str, Any]:
    """What `measured` gives, its memory not mixed with ours."""
    command = [sys.executable, "-m", "benchmarks.real_size", "--measure", *map(str, paths)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        sys.exit(answer.stderr)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def row(name: str, found: dict[str, Any]) -> str:
    """A line of the table."""
    limit = 1.3 * found["bytes"] + GIGABYTE
    sizes = [value / GIGABYTE for value in (found["file"], found["bytes"], found["peak"], limit)]
    within = "yes" if found["peak"] <= limit else "NO"
    counts = f"{len(found['missing']):>8} {len(found['left']):>5}"
    figures = "{:>6.2f} {:>9.2f} {:>6.2f} {:>6.2f}".format(*sizes)
    return f"{name:<17} {found['family']:<13} {figures} {within:>6} {counts} {found['seconds']:>8.1f}"


def main() -> None:
    """One file after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", default=NAMES, metavar="NAME", help=", ".join((*NAMES, *TRANSFORMERS))
    )
    parser.add_argument("--folder", type=Path, help="where the files are written (up to 7 GB)")
    parser.add_argument("--measure", nargs="+", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        alone = arguments.measure[0].name.startswith(ALONE)
        print(
            json.dumps(measured_transformer(arguments.measure[0]) if alone else measured(arguments.measure))
        )
        return
    print("GB                family          file resident   peak  limit within  missing  left  seconds")
    for name in arguments.names:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            if ":" in name:
                model, _, kind = name.partition(":")
                hole = write_hole(Path(folder, f"{ALONE}{model}"), transformers()[model], kind)
                print(row(name, in_its_own_process([hole])), flush=True)
                continue
            paths = [write(name, Path(folder, f"{name}.safetensors"))]
            if name.startswith("controlnet"):
                paths.insert(0, write(CONTROLLED, Path(folder, f"{CONTROLLED}.safetensors")))
            print(row(name, in_its_own_process(paths)), flush=True)


if __name__ == "__main__":
    main()
