"""The number type follows policy and device, and a processor never computes in float16."""

import itertools
from pathlib import Path

import pytest
import torch

from diffusion.residency.precision import POLICIES, Part, Precision, multiplies_bfloat16

CPU = torch.device("cpu")
PARTS: tuple[Part, ...] = ("backbone", "text", "vae", "control", "vision", "upscaler")


def test_a_processor_never_computes_in_float16() -> None:
    for policy, part in itertools.product(POLICIES, PARTS):
        assert Precision(policy).dtype(CPU, part) is not torch.float16


def test_a_stated_policy_is_followed() -> None:
    for part in PARTS:
        assert Precision("fp32").dtype(CPU, part) is torch.float32
        assert Precision("bf16").dtype(CPU, part) is torch.bfloat16


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_bfloat16_where_the_processor_has_it(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffusion.residency.precision.multiplies_bfloat16", lambda: native)
    expected = torch.bfloat16 if native else torch.float32
    assert Precision().dtype(CPU, "backbone") is expected
    assert Precision().dtype(CPU, "text") is torch.float32


def test_an_accelerator_gets_float16_but_its_vae_does_not() -> None:
    device = torch.device("mps")
    assert Precision().dtype(device, "backbone") is torch.float16
    assert Precision("fp16").dtype(device, "vae") is torch.float32


FLAGS = {
    "flags\t\t: fpu sse avx512_bf16 avx2\n": True,
    "flags\t\t: fpu amx_bf16\n": True,
    "Features\t: fp asimd bf16\n": True,
    "flags\t\t: fpu sse avx2 avx512f\n": False,
    "model name\t: bf16 wonder\n": False,
}


@pytest.mark.parametrize("text", FLAGS)
def test_the_processors_own_list_decides(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    (tmp_path / "cpuinfo").write_text(text)
    assert multiplies_bfloat16(tmp_path / "cpuinfo") is FLAGS[text]
    assert multiplies_bfloat16(tmp_path / "absent") is False
