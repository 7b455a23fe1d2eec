"""Control networks, small and real."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from diffusion.conditioning import Setting
from diffusion.control.chain import ControlNetwork
from diffusion.control.control_files import load_controlnet
from diffusion.control.controlnet import ControlUNet, hint_block
from diffusion.errors import FileProblem, UnknownModel
from diffusion.families.checkpoints import load_unet
from diffusion.guidance.guidance import BasicGuider, CFGGuider
from diffusion.model import Model
from diffusion.networks.backbone import Inputs
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from tests.diffusion.small_models import METADATA, SD1, seeded
from tests.diffusion.small_runs import noise, small_model, text

HINTS = [(3, 8), (8, 8), (8, 16), (16, 16), (16, 24), (24, 24), (24, 28), (28, 32)]
TO_DIFFUSERS = {
    "input_hint_block.0.": "controlnet_cond_embedding.conv_in.",
    "input_hint_block.14.": "controlnet_cond_embedding.conv_out.",
    "middle_block_out.0.": "controlnet_mid_block.",
    **{f"input_hint_block.{2 * i + 2}.": f"controlnet_cond_embedding.blocks.{i}." for i in range(6)},
    **{f"zero_convs.{i}.0.": f"controlnet_down_blocks.{i}." for i in range(4)},
    "input_blocks.0.0.": "conv_in.",
    "input_blocks.1.0.": "down_blocks.0.resnets.0.",
    "input_blocks.1.1.": "down_blocks.0.attentions.0.",
    "input_blocks.2.0.op.": "down_blocks.0.downsamplers.0.conv.",
    "input_blocks.3.0.": "down_blocks.1.resnets.0.",
    "middle_block.0.": "mid_block.resnets.0.",
    "middle_block.1.": "mid_block.attentions.0.",
    "middle_block.2.": "mid_block.resnets.1.",
    "time_embed.0.": "time_embedding.linear_1.",
    "time_embed.2.": "time_embedding.linear_2.",
}
RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}


def diffusers_name(name: str) -> str:
    """One name of ours in diffusers' layout."""
    for ours, theirs in TO_DIFFUSERS.items():
        if name.startswith(ours):
            rest = name[len(ours) :]
            for a, b in RESIDUAL.items() if "resnets" in theirs else ():
                rest = rest.replace(a, b)
            return theirs + rest
    return name


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same small network in each layout."""
    folder = tmp_path_factory.mktemp("control")
    tensors = seeded(lambda: ControlUNet(SD1, HINTS), 4).state_dict()
    layouts = {
        "original": {f"control_model.{name}": each for name, each in tensors.items()},
        "bare": tensors,
        "diffusers": {diffusers_name(name): each for name, each in tensors.items()},
    }
    for name, each in layouts.items():
        save_file(each, folder / f"{name}.safetensors", METADATA)
    return {name: folder / f"{name}.safetensors" for name in layouts}


def loaded(path: Path) -> ControlNetwork:
    """The network of a file."""
    return load_controlnet(path, Residency(Precision("fp32"), "cpu"))


def run(model: Model, strength: float = 1.0, span: tuple[float, float] = (0.0, 1.0), **where: Any) -> Tensor:
    """A short run under control, by the network `net` or none."""
    net, image = where.get("net"), where.get("image", picture())
    before = where.get("before")
    options = {"control": net.applied(image, strength, *span, before)} if net else {}
    guider = CFGGuider(model, text(1, **options), text(2, **options), 3.0)
    sigmas = schedule(model.prediction, "normal", 4)
    rows = where.get("rows", 1)
    start = noise(rows, 4, 8, 8)
    return sample(guider, start, torch.zeros(rows, 4, 8, 8), SAMPLERS["euler"], sigmas).latent


def picture(seed: int = 0) -> Tensor:
    """Something to look at, 1×48×64×3."""
    return torch.rand(1, 48, 64, 3, generator=torch.Generator().manual_seed(seed))


def test_every_layout_gives_the_same_network(files: dict[str, Path]) -> None:
    model = small_model()
    results = [run(model, net=loaded(path)) for path in files.values()]
    for each in results[1:]:
        torch.testing.assert_close(each, results[0])
    assert not torch.allclose(results[0], run(model), atol=1e-2)


def test_strength_and_picture_matter_and_no_strength_is_no_control(files: dict[str, Path]) -> None:
    model, net = small_model(), loaded(files["original"])
    full, half, other = run(model, net=net), run(model, 0.5, net=net), run(model, net=net, image=picture(1))
    assert not torch.allclose(full, half, atol=1e-2)
    assert not torch.equal(full, other)
    torch.testing.assert_close(run(model, 0.0, net=net), run(model))


def test_outside_its_span_a_control_does_nothing(files: dict[str, Path]) -> None:
    model, net = small_model(), loaded(files["original"])
    torch.testing.assert_close(run(model, span=(1.0, 1.0), net=net), run(model))
    early, late = run(model, span=(0.0, 0.5), net=net), run(model, span=(0.5, 1.0), net=net)
    assert not torch.allclose(early, late, atol=1e-2)


def test_two_controls_add_up(files: dict[str, Path]) -> None:
    model, net = small_model(), loaded(files["original"])
    first = net.applied(picture(), 0.5, 0.0, 1.0)
    torch.testing.assert_close(
        run(model, 0.5, net=net, before=first), run(model, 1.0, net=net), rtol=1e-3, atol=1e-2
    )


def test_one_picture_steers_each_row_of_a_batch(files: dict[str, Path]) -> None:
    model, net = small_model(), loaded(files["original"])
    torch.testing.assert_close(run(model, net=net, rows=2)[:1], run(model, net=net), rtol=1e-3, atol=1e-2)


def test_the_picture_is_looked_at_once_in_a_run(files: dict[str, Path]) -> None:
    model, net = small_model(), loaded(files["original"])
    control = net.applied(picture(), 1.0, 0.0, 1.0).for_run(Setting(model, torch.zeros(1, 4, 8, 8)))
    arguments = torch.zeros(1, 4, 8, 8), torch.ones(1), torch.ones(1), Inputs(torch.zeros(1, 7, 64))
    control(*arguments)
    seen = dict(control.steering.seen)  # type: ignore[attr-defined] # of this kind of control
    control(*arguments)
    again = control.steering.seen  # type: ignore[attr-defined] # as above
    assert again[8, 8] is seen[8, 8]
    assert seen[8, 8].shape == (1, 32, 8, 8)


def test_convolutions_that_widen_halve_the_size_but_the_ends() -> None:
    assert hint_block(HINTS)(torch.zeros(1, 3, 64, 48)).shape == (1, 32, 8, 6)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UnknownModel, match=r"x.safetensors: No ControlNet was found in it"):
        load_controlnet(tmp_path / "x.safetensors")


def low_rank(tensors: dict[str, Tensor], base: dict[str, Tensor]) -> dict[str, Tensor]:
    """A network as changes of a model's weights, each of a rank that loses nothing."""
    written = {"lora_controlnet": torch.tensor([])}
    for name, tensor in tensors.items():
        if name not in base:
            written[name] = tensor
        elif name.endswith(".weight") and tensor.dim() > 1:
            difference = (tensor - base[name]).flatten(1)
            u, s, v = torch.linalg.svd(difference, full_matrices=False)
            stem = name.removesuffix(".weight")
            written[f"{stem}.up"], written[f"{stem}.down"] = (u * s).contiguous(), v.contiguous()
        elif not torch.equal(tensor, base[name]):
            written[name] = tensor
    return written


def test_low_rank_changes_and_differences_to_a_model_give_the_same_network(
    files: dict[str, Path], tmp_path: Path
) -> None:
    model = small_model()
    base = {name: model.backbone.weights.tensor(name) for name in model.backbone.weights}
    tensors = seeded(lambda: ControlUNet(SD1, HINTS), 4).state_dict()
    save_file(low_rank(tensors, base), tmp_path / "low.safetensors", METADATA)
    differences = {n: t - base[n] if n in base else t for n, t in tensors.items()}
    save_file({"difference": torch.tensor([]), **differences}, tmp_path / "diff.safetensors", METADATA)
    model = model_with_file(model, tmp_path)
    expected = run(model, net=loaded(files["original"]))
    residency = Residency(Precision("fp32"), "cpu")
    for net in (
        loaded(tmp_path / "low.safetensors"),
        load_controlnet(tmp_path / "diff.safetensors", residency, model),
    ):
        torch.testing.assert_close(run(model, net=net), expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(FileProblem, match="Load it with DiffControlNetLoader"):
        loaded(tmp_path / "diff.safetensors")


def model_with_file(model: Model, folder: Path) -> Model:
    """The same model read from a file."""
    tensors = {name: model.backbone.weights.tensor(name) for name in model.backbone.weights}
    save_file(tensors, folder / "unet.safetensors", METADATA)
    return load_unet(folder / "unet.safetensors", Residency(Precision("fp32"), "cpu"))


def test_a_control_may_read_another_text_than_the_model(files: dict[str, Path]) -> None:
    model, net = small_model(), loaded(files["original"])
    control, words, other = net.applied(picture(), 1.0, 0.0, 1.0), text(1), text(9, tokens=5)

    def sampled(**options: Any) -> Tensor:
        guider = BasicGuider(model, [[words[0][0], {"control": control, **options}]])
        sigmas = schedule(model.prediction, "normal", 3)
        return sample(guider, noise(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), SAMPLERS["euler"], sigmas).latent

    torch.testing.assert_close(sampled(cross_attn_controlnet=words[0][0]), sampled())
    assert not torch.allclose(sampled(cross_attn_controlnet=other[0][0]), sampled(), atol=1e-3)


def test_an_area_sees_the_whole_picture_at_its_own_size(files: dict[str, Path]) -> None:
    model, net = small_model(), loaded(files["original"])
    control = net.applied(picture(), 1.0, 0.0, 1.0)
    both = [*text(1), [text(2)[0][0], {"control": control, "area": (8, 4, 0, 0)}]]
    guider = BasicGuider(model, both)
    sigmas = schedule(model.prediction, "normal", 3)
    out = sample(guider, noise(1, 4, 8, 8), torch.zeros(1, 4, 8, 8), SAMPLERS["euler"], sigmas).latent
    assert out.isfinite().all()


def test_what_is_borrowed_from_a_model_is_borrowed_with_its_patches(
    files: dict[str, Path], tmp_path: Path
) -> None:
    model = model_with_file(small_model(), tmp_path)
    base = {name: model.backbone.weights.tensor(name) for name in model.backbone.weights}
    tensors = seeded(lambda: ControlUNet(SD1, HINTS), 4).state_dict()
    name = "input_blocks.1.1.transformer_blocks.0.attn2.to_v.weight"
    patched = model.with_patches({name: (lambda weight: weight + 0.5,)})
    save_file(low_rank(tensors, base), tmp_path / "low.safetensors", METADATA)
    save_file({**tensors, name: tensors[name] + 0.5}, tmp_path / "sum.safetensors", METADATA)
    ours = run(patched, net=loaded(tmp_path / "low.safetensors"))
    torch.testing.assert_close(
        ours, run(patched, net=loaded(tmp_path / "sum.safetensors")), rtol=1e-3, atol=1e-3
    )
    assert not torch.allclose(ours, run(patched, net=loaded(files["original"])), atol=1e-3)
