"""A ControlNet for several kinds of pictures, against diffusers' own."""

from pathlib import Path

import pytest
import torch
from diffusers import ControlNetUnionModel
from safetensors.torch import save_file

from diffusion.control.control_files import load_controlnet
from diffusion.control.controlnet import ControlNet
from diffusion.networks.blocks import timestep_embedding
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import METADATA, seeded
from tests.diffusion.small_runs import noise, small_model


def small() -> ControlNetUnionModel:
    """A small network of eight kinds."""
    return ControlNetUnionModel(
        block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=64, attention_head_dim=4,
        norm_num_groups=8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        conditioning_embedding_out_channels=(8, 16, 24, 28), num_control_type=8, num_trans_channel=32,
        num_proj_channel=32, addition_time_embed_dim=16,
    )  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> tuple[ControlNetUnionModel, Path]:
    """The network and its file."""
    theirs = seeded(small, 5)
    for layer in theirs.transformer_layes:  # else the rows of a batch look at each other, not a row's tokens
        layer.attn.batch_first = True
    for block in (*theirs.controlnet_down_blocks, theirs.controlnet_mid_block, theirs.spatial_ch_projs):
        torch.nn.init.normal_(block.weight, std=0.3, generator=torch.Generator().manual_seed(3))
    path = tmp_path_factory.mktemp("union") / "union.safetensors"
    save_file({name: each.contiguous() for name, each in theirs.state_dict().items()}, path, METADATA)
    return theirs, path


@pytest.mark.parametrize("kind", [0, 3, 7])
def test_each_kind_agrees_with_diffusers(file: tuple[ControlNetUnionModel, Path], kind: int) -> None:
    theirs, path = file
    net = load_controlnet(path, Residency(Precision("fp32"), "cpu"))
    assert isinstance(net, ControlNet)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)).repeat(2, 1, 1, 1)
    x, words, times = noise(2, 4, 8, 8), noise(2, 7, 64, seed=1), torch.tensor([500.0, 500.0])
    chosen = torch.zeros(2, 8)
    chosen[:, kind] = 1
    with torch.no_grad():
        skips, middle = theirs(
            x, times, words, [picture], control_type=chosen, control_type_idx=[kind], return_dict=False
        )
        with net.network(small_model()).use() as module:
            ours = module(x, module.input_hint_block(picture), times, words, kind=kind)
    for mine, expected in zip([*ours[0], ours[1]], [*skips, middle], strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-4)


def test_the_kind_matters_and_an_unknown_one_is_named(file: tuple[ControlNetUnionModel, Path]) -> None:
    net = load_controlnet(file[1], Residency(Precision("fp32"), "cpu"))
    assert isinstance(net, ControlNet)
    x, words = noise(1, 4, 8, 8), noise(1, 7, 64, seed=1)
    with net.network(small_model()).use() as module, torch.no_grad():
        seen = module.input_hint_block(torch.rand(1, 3, 64, 64))
        one, two, auto = (module(x, seen, torch.tensor([5.0]), words, kind=k)[1] for k in (0, 1, None))
        assert not torch.allclose(one, two, atol=1e-3)
        assert not torch.allclose(one, auto, atol=1e-3)
        with pytest.raises(ValueError, match="knows only these kinds of pictures: openpose, depth"):
            module(x, seen, torch.tensor([5.0]), words, kind=8)


def test_one_for_sdxl_agrees_too(tmp_path: Path) -> None:
    theirs = seeded(
        lambda: ControlNetUnionModel(
            block_out_channels=(64, 128), layers_per_block=2, cross_attention_dim=128,
            num_attention_heads=(1, 2), attention_head_dim=(1, 2),
            transformer_layers_per_block=(1, 2), use_linear_projection=True,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), addition_embed_type="text_time",
            addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816, num_control_type=6,
            conditioning_embedding_out_channels=(8, 16, 24, 28), num_trans_channel=64, num_proj_channel=64,
        ),
        5,
    )  # fmt: skip
    for layer in theirs.transformer_layes:
        layer.attn.batch_first = True
    for block in (*theirs.controlnet_down_blocks, theirs.controlnet_mid_block, theirs.spatial_ch_projs):
        torch.nn.init.normal_(block.weight, std=0.3, generator=torch.Generator().manual_seed(3))
    save_file(
        {name: each.contiguous() for name, each in theirs.state_dict().items()}, tmp_path / "xl.safetensors"
    )
    net = load_controlnet(tmp_path / "xl.safetensors", Residency(Precision("fp32"), "cpu"))
    assert isinstance(net, ControlNet)
    x, words, pooled = noise(1, 4, 8, 8), noise(1, 7, 128, seed=1), noise(1, 1280, seed=2)
    sizes, times = torch.tensor([[64.0, 64, 0, 0, 64, 64]]), torch.tensor([500.0])
    y = torch.cat([pooled, timestep_embedding(sizes[0], 256).reshape(1, -1)], dim=1)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    chosen = torch.zeros(1, 6)
    chosen[:, 4] = 1
    with torch.no_grad():
        skips, middle = theirs(
            x, times, words, [picture], control_type=chosen, control_type_idx=[4], return_dict=False,
            added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes},
        )  # fmt: skip
        with net.network(small_model()).use() as module:
            ours = module(x, module.input_hint_block(picture), times, words, y, kind=4)
    for mine, expected in zip([*ours[0], ours[1]], [*skips, middle], strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-3, atol=1e-3)
