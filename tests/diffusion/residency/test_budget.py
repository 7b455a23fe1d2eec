"""Weights stay while they are useful and fit, go when others need the room, and survive every mishap."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from diffusion.errors import OutOfMemory
from diffusion.networks.unet import UNet
from diffusion.residency.budget import Residency, Resident
from diffusion.residency.precision import Precision
from tests.diffusion.small_models import SD1, as_weights, seeded, weights_of

SIDE = 64
LAYER = (SIDE * SIDE + SIDE) * 4  # bytes of one linear layer in float32


def build() -> nn.Module:
    return nn.Linear(SIDE, SIDE)


class Notices(list[str]):
    pass


@pytest.fixture
def notices() -> Notices:
    return Notices()


@pytest.fixture
def residency(notices: Notices) -> Iterator[Residency]:
    """Room for two layers and a half."""
    residency = Residency(
        Precision("fp32"), "cpu", budget=lambda device: LAYER * 5 // 2, notice=notices.append
    )
    yield residency
    residency.close()


def layer(residency: Residency, name: str) -> Resident[nn.Module]:
    weights = weights_of(seeded(build, len(name)))
    return Resident(residency, "backbone", weights, build, (name,))


def held(residency: Residency) -> int:
    return len(residency.report())


def test_nothing_is_loaded_before_use_and_it_stays_afterwards(residency: Residency) -> None:
    resident = layer(residency, "a")
    assert residency.bytes == 0
    with resident.use() as module:
        assert torch.equal(module.weight, resident.weights.tensor("weight"))  # type: ignore[arg-type]
    assert residency.bytes == LAYER
    with resident.use() as again:
        assert again is module


def test_two_handles_of_one_file_share_the_module(residency: Residency) -> None:
    with layer(residency, "a").use() as first, layer(residency, "a").use() as second:
        assert first is second
    assert held(residency) == 1


def test_what_was_used_longest_ago_makes_room(residency: Residency) -> None:
    residents = {name: layer(residency, name) for name in "abc"}
    for name in "ab":
        with residents[name].use():
            pass
    for entry in residency._held.values():
        entry.seconds = 1.0
        entry.last_used -= 10 if entry.loaded.weights is residents["a"].weights else 0
    with residents["c"].use():
        loaded = {id(entry.loaded.weights) for entry in residency._held.values()}
    assert loaded == {id(residents["b"].weights), id(residents["c"].weights)}


def test_what_nobody_has_a_handle_of_goes_first(residency: Residency) -> None:
    kept = layer(residency, "kept")
    with kept.use():
        pass
    with layer(residency, "forgotten").use():
        pass
    with layer(residency, "new").use():
        parts = {id(entry.loaded.weights) for entry in residency._held.values()}
    assert id(kept.weights) in parts
    assert len(parts) == 2


def test_what_is_in_use_is_never_unloaded(residency: Residency) -> None:
    with layer(residency, "a").use() as a, layer(residency, "b").use() as b, layer(residency, "c").use() as c:
        assert held(residency) == 3
        for module in (a, b, c):
            assert not any(p.is_meta for p in module.parameters())
        assert residency.free() == 0
    assert residency.free() == 3 * LAYER
    assert residency.bytes == 0


def test_what_is_unloaded_gives_its_memory_back_at_once(residency: Residency) -> None:
    with layer(residency, "a").use() as module:
        pass
    residency.free()
    assert all(parameter.is_meta for parameter in module.parameters())


def test_room_can_be_reserved_for_the_work(residency: Residency) -> None:
    with layer(residency, "a").use():
        pass
    with layer(residency, "b").use(reserve=LAYER):
        assert held(residency) == 1


def test_patches_last_as_long_as_their_use(residency: Residency) -> None:
    resident = layer(residency, "a")
    plain = resident.weights.tensor("weight")
    double, triple = {"weight": (lambda w: w * 2,)}, {"weight": (lambda w: w * 3,)}
    with resident.use(double) as module:
        assert torch.equal(module.weight, plain * 2)  # type: ignore[arg-type]
        with resident.use(triple):
            assert torch.equal(module.weight, plain * 3)  # type: ignore[arg-type]
        assert torch.equal(module.weight, plain * 2)  # type: ignore[arg-type]
    with resident.use():
        assert torch.equal(module.weight, plain)  # type: ignore[arg-type]


class Stop(Exception):
    """What a check raises."""


def test_a_cancelled_load_leaves_nothing_and_the_next_works(residency: Residency) -> None:
    resident = layer(residency, "a")

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop), resident.use(check=stop):
        pass
    assert residency.bytes == 0
    with resident.use() as module:
        assert not any(p.is_meta for p in module.parameters())


def test_a_cancelled_patch_leaves_no_half_patched_module(residency: Residency) -> None:
    resident = layer(residency, "a")
    plain = resident.weights.tensor("weight")
    with resident.use():
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop), resident.use({"weight": (lambda w: w * 2,)}, stop):
        pass
    with resident.use() as module:
        assert torch.equal(module.weight, plain)  # type: ignore[arg-type]


def test_a_model_larger_than_the_budget_is_streamed_and_gives_the_same(notices: Notices) -> None:
    whole = seeded(lambda: UNet(SD1))
    full = sum(p.numel() * 4 for p in whole.parameters())
    x, t, context = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 64)
    for share in (0.0, 0.7, 1.0):
        residency = Residency(
            Precision("fp32"), "cpu", lambda device, share=share: int(full * share), notices.append
        )
        resident = Resident(residency, "backbone", weights_of(whole), lambda: UNet(SD1), ("u",))
        with resident.use() as unet:
            assert torch.equal(unet(x, t, context), whole(x, t, context))
            streamed = residency.report()[0].streamed_blocks
        assert (streamed == 0) == (share == 1.0)
        assert residency.bytes <= max(full * share, full * 0.5)
        residency.close()
    assert any("read as needed" in notice for notice in notices)


def test_running_out_of_memory_drops_the_idle_and_tries_again(residency: Residency, notices: Notices) -> None:
    with layer(residency, "idle").use():
        pass
    tries: list[int] = []

    def work() -> str:
        tries.append(residency.bytes)
        if len(tries) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "done"

    assert residency.attempt(work) == "done"
    assert tries == [LAYER, 0]
    assert "idle models were unloaded" in notices[0]


def test_the_next_way_is_taken_when_the_first_fails_twice(residency: Residency, notices: Notices) -> None:
    def too_much() -> str:
        raise MemoryError

    assert residency.attempt(too_much, lambda: "in tiles", doing="decoding") == "in tiles"
    assert any("trying a way that needs less" in notice for notice in notices)
    with pytest.raises(OutOfMemory, match="cpu while decoding"):
        residency.attempt(too_much, too_much, doing="decoding")
    with pytest.raises(ValueError, match="other"):
        residency.attempt(lambda: int("other"))


def test_a_hundred_failures_leave_a_state_in_which_the_next_job_works(residency: Residency) -> None:
    resident = layer(residency, "a")

    def fails() -> None:
        with resident.use():
            raise MemoryError

    for _ in range(100):
        with pytest.raises(OutOfMemory):
            residency.attempt(fails)
        with resident.use() as module:
            assert module(torch.ones(1, SIDE)).shape == (1, SIDE)
    assert residency.bytes == LAYER


def test_memory_running_out_while_loading_streams_instead(notices: Notices) -> None:
    whole = seeded(lambda: UNet(SD1))
    weights = weights_of(whole)
    failures = [1]

    def failing(name: str) -> torch.Tensor:
        if failures and name.startswith("output_blocks"):
            failures.pop()
            raise MemoryError
        return whole.state_dict()[name]

    entries = {
        name: entry.taking(entry.shape, lambda tensor, name=name: failing(name))
        for name, entry in weights.items()
    }
    residency = Residency(Precision("fp32"), "cpu", notice=notices.append)
    resident = Resident(residency, "backbone", weights.having(entries), lambda: UNet(SD1), ("u",))
    x, t, context = torch.randn(1, 4, 8, 8), torch.tensor([5]), torch.randn(1, 3, 64)
    with resident.use() as unet:
        assert torch.equal(unet(x, t, context), whole(x, t, context))
    assert residency.report()[0].streamed_blocks == 9
    residency.close()


def test_a_part_may_compute_in_another_type_beside(residency: Residency) -> None:
    resident = layer(residency, "a")
    with resident.use() as single, resident.computing_in(torch.float64).use() as double:
        assert (single.weight.dtype, double.weight.dtype) == (torch.float32, torch.float64)  # type: ignore[union-attr]


def test_the_report_says_what_is_held(residency: Residency) -> None:
    resident = layer(residency, "a")
    with resident.use():
        (line,) = residency.report()
        assert (line.part, line.name, line.device, line.dtype) == (
            "backbone",
            "memory",
            "cpu",
            "torch.float32",
        )
        assert (line.bytes, line.streamed_blocks, line.in_use) == (LAYER, 0, True)
    assert not residency.report()[0].in_use


def test_a_file_of_the_wrong_shape_is_an_error_at_use(residency: Residency) -> None:
    weights = as_weights({"weight": torch.zeros(1, 1), "bias": torch.zeros(SIDE)})
    resident = Resident(residency, "backbone", weights, build, ("x",))
    with pytest.raises(Exception, match="has the shape"), resident.use():
        pass
    assert residency.bytes == 0


def test_a_residency_alone_knows_a_device_and_a_budget(tmp_path: Path) -> None:
    residency = Residency()
    assert residency.budget(residency.device) > 0
    residency.close()
