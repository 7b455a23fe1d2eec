"""Text encoders from GGUF files with llama.cpp's names read as those from the published files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from gguf import MODEL_ARCH, get_tensor_name_map
from safetensors.torch import save_file
from torch import Tensor

from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.text.decoders import Decoder, DecoderSizes
from diffusion.text.loading import load_text_encoder
from diffusion.weights.quantised import Quantised
from tests.diffusion.small_models import prefixed, seeded
from tests.diffusion.text.small_encoders import QWEN_3B, T5_XXL, t5
from tests.diffusion.weights.packing import write_gguf


def t5_tensors() -> dict[str, Tensor]:
    return t5(replace(T5_XXL, width=160, inner=64))


def qwen_tensors() -> dict[str, Tensor]:
    sizes = DecoderSizes("qwen2", QWEN_3B, 32, 2, 2, 2, 64)
    return prefixed("", seeded(lambda: Decoder(sizes), 7))


ENCODERS = {
    "pixart": (MODEL_ARCH.T5ENCODER, "t5encoder", t5_tensors, 24),
    "omnigen2": (MODEL_ARCH.QWEN2VL, "qwen2vl", qwen_tensors, 2),
}


@pytest.mark.parametrize("type", ENCODERS)
@pytest.mark.parametrize(("kind", "error"), [("F32", 1e-6), ("Q8_0", 0.05)])
def test_a_text_reads_nearly_the_same(type: str, kind: str, error: float, tmp_path: Path) -> None:
    number, architecture, make, layers = ENCODERS[type]
    theirs, tensors = get_tensor_name_map(number, layers), make()
    packed: dict[str, tuple[str, Tensor]] = {}
    for name, tensor in tensors.items():
        base, _, leaf = name.rpartition(".")
        kept = kind if tensor.dim() == 2 and tensor.shape[1] % 32 == 0 else "F32"
        packed[f"{theirs.get_name(base)}.{leaf}"] = (kept, tensor)
    write_gguf(tmp_path / "x.gguf", packed, architecture)
    save_file(tensors, tmp_path / "x.safetensors")
    residency = Residency(Precision("fp32"), "cpu")
    expected, found = (
        load_text_encoder([tmp_path / f"x.{suffix}"], residency, type=type)
        for suffix in ("safetensors", "gguf")
    )
    first, second = (encoder.text("a fox in the snow").cond for encoder in (expected, found))
    assert (first - second).norm() <= error * first.norm()
    assert bool((first != second).any()) == (kind != "F32")
    with found.towers[0].resident.use() as network:
        count = sum(isinstance(each, Quantised) for each in network.parameters())
    assert (count > 10) == (kind != "F32")
    assert first.dtype == torch.float32
