"""Changes of weights that come and go during a run, seen in what is sampled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffusion.errors import FileProblem
from diffusion.guidance.guidance import BasicGuider, CFGGuider
from diffusion.model import Model
from diffusion.patches.weights.weight_hooks import Keyframe, between, together
from diffusion.samplers import SAMPLERS
from diffusion.sampling import sample, schedule
from execution.declare.registry import Registry
from execution.engine import Engine
from execution.job import Job
from tests.nodes.conftest import METADATA

Call = Callable[..., Any]


def write_files(models: Path) -> None:
    """A LoRA for the small model and its text encoder, and another checkpoint."""
    generator = torch.Generator().manual_seed(2)
    tensors = load_file(models / "checkpoints" / "small.safetensors")
    (models / "loras").mkdir(exist_ok=True)
    lora: dict[str, Tensor] = {}
    for name, weight in tensors.items():
        unet = name.startswith("model.diffusion_model.") and "attn" in name
        text = name.startswith("cond_stage_model.transformer.text_model.encoder") and weight.dim() == 2
        if weight.dim() == 2 and name.endswith(".weight") and (unet or text):
            stem = name.removesuffix(".weight").removeprefix("model.diffusion_model.")
            stem = stem.removeprefix("cond_stage_model.transformer.").replace(".", "_")
            prefix = "lora_unet_" if unet else "lora_te_"
            lora[f"{prefix}{stem}.lora_up.weight"] = torch.randn(weight.shape[0], 2, generator=generator)
            lora[f"{prefix}{stem}.lora_down.weight"] = torch.randn(2, weight.shape[1], generator=generator)
    save_file(lora, models / "loras" / "lora.safetensors")
    other = {n: t + 0.05 * torch.randn(t.shape, generator=generator) for n, t in tensors.items()}
    save_file(other, models / "checkpoints" / "other.safetensors", METADATA)


@pytest.fixture
def parts(call: Call, models: Path) -> tuple[Model, Any]:
    """The small model and its text encoder; a LoRA for both lies in the folder, and another checkpoint."""
    if not (models / "loras" / "lora.safetensors").exists():
        write_files(models)
    return call("CheckpointLoaderSimple", ckpt_name="small.safetensors")[:2]


def noise() -> Tensor:
    """What every run starts from."""
    return torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def sampled(guider: Any, sigmas: Tensor, start: Tensor | None = None) -> Tensor:
    """Euler steps along sigmas from noise, or on from a latent."""
    drawn = noise() if start is None else torch.zeros(1, 4, 8, 8)
    latent = torch.zeros(1, 4, 8, 8) if start is None else start
    return sample(guider, drawn, latent, SAMPLERS["euler"], sigmas).latent


@pytest.fixture
def words(call: Call, parts: tuple[Model, Any]) -> tuple[Any, Any]:
    """Two encoded texts."""
    return tuple(call("CLIPTextEncode", text=text, clip=parts[1])[0] for text in ("a cat", ""))  # type: ignore[return-value] # two of them


def with_lora(call: Call, parts: tuple[Model, Any], strength: float = 1.0) -> Model:
    """The model as the LoRA loader changes it."""
    changed: Model = call(
        "LoraLoaderModelOnly", model=parts[0], lora_name="lora.safetensors", strength_model=strength
    )[0]
    return changed


def bound(call: Call, conditioning: Any, hooks: Any, **more: Any) -> Any:
    """A conditioning bound to hooks."""
    return call(
        "ConditioningSetProperties", cond_NEW=conditioning, set_cond_area="default", hooks=hooks, **more
    )[0]


@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_a_hook_without_a_schedule_is_a_lora(
    call: Call, parts: tuple[Model, Any], words: tuple[Any, Any], strength: float
) -> None:
    (hooks,) = call("CreateHookLora", lora_name="lora.safetensors", strength_model=strength)
    positive, negative = (bound(call, each, hooks) for each in words)
    sigmas = schedule(parts[0].prediction, "normal", 3)
    plain = sampled(CFGGuider(parts[0], *words, 3.0), sigmas)
    ours = sampled(CFGGuider(parts[0], positive, negative, 3.0), sigmas)
    expected = sampled(CFGGuider(with_lora(call, parts, strength), *words, 3.0), sigmas)
    torch.testing.assert_close(ours, expected)
    assert not torch.allclose(ours, plain, atol=1e-2)
    torch.testing.assert_close(sampled(CFGGuider(parts[0], *words, 3.0), sigmas), plain)


def test_a_schedule_switches_weights_within_the_run(
    call: Call, parts: tuple[Model, Any], words: tuple[Any, Any]
) -> None:
    model, text = parts[0], words[0]
    sigmas = schedule(model.prediction, "normal", 4)
    middle = (model.prediction.clock.timestep(sigmas[2:3]) + model.prediction.clock.timestep(sigmas[1:2])) / 2
    (frames,) = call("CreateHookKeyframe", strength_mult=0.0, start_percent=0.0)
    (frames,) = call(
        "CreateHookKeyframe", strength_mult=0.5, start_percent=1 - middle.item() / 999, prev_hook_kf=frames
    )
    (hooks,) = call("CreateHookLora", lora_name="lora.safetensors")
    (hooks,) = call("SetHookKeyframes", hooks=hooks, hook_kf=frames)
    ours = sampled(BasicGuider(model, bound(call, text, hooks)), sigmas)
    halfway = sampled(BasicGuider(model, text), sigmas[:3])
    expected = sampled(BasicGuider(with_lora(call, parts, 0.5), text), sigmas[2:], halfway)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)


def test_one_conditioning_is_changed_and_the_other_is_not(
    call: Call, parts: tuple[Model, Any], words: tuple[Any, Any]
) -> None:
    model, (positive, negative) = parts[0], words
    (hooks,) = call("CreateHookLoraModelOnly", lora_name="lora.safetensors")
    step = torch.tensor([5.0, 0.0])
    ours = sampled(CFGGuider(model, bound(call, positive, hooks), negative, 3.0), step)
    towards = sampled(BasicGuider(with_lora(call, parts), positive), step)
    away = sampled(BasicGuider(model, negative), step)
    torch.testing.assert_close(ours, away + 3.0 * (towards - away), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("node", ["CreateHookModelAsLora", "CreateHookModelAsLoraModelOnly"])
def test_a_model_as_a_lora_at_full_strength_is_that_model(
    call: Call, parts: tuple[Model, Any], words: tuple[Any, Any], node: str
) -> None:
    other, other_clip, _ = call("CheckpointLoaderSimple", ckpt_name="other.safetensors")
    (hooks,) = call(node, ckpt_name="other.safetensors", strength_model=1.0)
    sigmas = schedule(parts[0].prediction, "normal", 3)
    ours = sampled(BasicGuider(parts[0], bound(call, words[0], hooks)), sigmas)
    expected = sampled(BasicGuider(other, words[0]), sigmas)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3)
    (clip,) = call("SetClipHooks", clip=parts[1], hooks=hooks)
    (found,) = call("CLIPTextEncode", text="a cat", clip=clip)
    which = other_clip if node == "CreateHookModelAsLora" else parts[1]
    torch.testing.assert_close(
        found[0][0], call("CLIPTextEncode", text="a cat", clip=which)[0][0][0], rtol=1e-3, atol=1e-3
    )


def test_a_text_encoder_follows_the_hooks_and_binds_what_it_makes(
    call: Call, parts: tuple[Model, Any]
) -> None:
    (hooks,) = call("CreateHookLora", lora_name="lora.safetensors", strength_clip=0.7)
    _, changed = call(
        "LoraLoader", model=parts[0], clip=parts[1], lora_name="lora.safetensors", strength_clip=0.7
    )
    (expected,) = call("CLIPTextEncode", text="a cat", clip=changed)
    for bind in (True, False):
        (clip,) = call("SetClipHooks", clip=parts[1], apply_to_conds=bind, hooks=hooks)
        (found,) = call("CLIPTextEncode", text="a cat", clip=clip)
        torch.testing.assert_close(found[0][0], expected[0][0])
        assert (found[0][1].get("hooks") == hooks) is bind
    (same,) = call("SetClipHooks", clip=parts[1])
    assert same is parts[1]


def test_a_scheduled_text_encoder_makes_an_entry_for_each_keyframe(
    call: Call, parts: tuple[Model, Any], words: tuple[Any, Any]
) -> None:
    (frames,) = call("CreateHookKeyframesFromFloats", floats_strength=[[0.0, 1.0]], end_percent=[0.5])
    (hooks,) = call("CreateHookLora", lora_name="lora.safetensors")
    (hooks,) = call("SetHookKeyframes", hooks=hooks, hook_kf=frames)
    (clip,) = call("SetClipHooks", clip=parts[1], schedule_clip=True, hooks=hooks)
    (found,) = call("CLIPTextEncode", text="a cat", clip=clip)
    times = [(o["clip_start_percent"], o["clip_end_percent"]) for _, o in found]
    assert times == [(0.0, 0.5), (0.5, 1.0)]
    torch.testing.assert_close(found[0][0], words[0][0][0])
    assert not torch.allclose(found[1][0], words[0][0][0], atol=1e-3)
    sigmas = schedule(parts[0].prediction, "normal", 4)
    assert sampled(BasicGuider(parts[0], found), sigmas).isfinite().all()


def test_what_fills_steers_only_where_the_rest_does_not(
    call: Call, parts: tuple[Model, Any], words: tuple[Any, Any]
) -> None:
    left = torch.zeros(1, 8, 8)
    left[..., :4] = 1
    sigmas = schedule(parts[0].prediction, "normal", 3)
    first = bound(call, words[0], None, mask=left)
    second = bound(call, words[1], None, mask=1 - left)
    (filled,) = call("ConditioningSetDefaultCombine", cond=first, cond_DEFAULT=words[1])
    ours, expected = (sampled(BasicGuider(parts[0], each), sigmas) for each in (filled, [*first, *second]))
    torch.testing.assert_close(ours, expected)
    (whole,) = call("ConditioningSetDefaultCombine", cond=words[0], cond_DEFAULT=words[1])
    torch.testing.assert_close(
        sampled(BasicGuider(parts[0], whole), sigmas), sampled(BasicGuider(parts[0], words[0]), sigmas)
    )
    early = bound(call, words[0], None, timesteps=(0.0, 0.4))
    late = bound(call, words[1], None, timesteps=(0.4, 1.0))
    (filled,) = call("ConditioningSetDefaultCombine", cond=early, cond_DEFAULT=words[1])
    ours, expected = (sampled(BasicGuider(parts[0], each), sigmas) for each in (filled, [*early, *late]))
    torch.testing.assert_close(ours, expected)


def test_pairs_are_set_and_combined_alike(call: Call, words: tuple[Any, Any]) -> None:
    positive, negative = words
    (hooks,) = call("CombineHooks2")
    mask, when = torch.ones(2, 2), (0.2, 0.6)
    properties = {"strength": 0.5, "set_cond_area": "mask bounds", "mask": mask, "timesteps": when}
    both = call("PairConditioningSetProperties", positive_NEW=positive, negative_NEW=negative, **properties)
    (single,) = call("ConditioningSetProperties", cond_NEW=positive, hooks=hooks, **properties)
    for ((_, options),) in (*both, single):
        assert options["mask"].shape == (1, 2, 2)
        assert options["mask_strength"] == 0.5
        assert options["set_area_to_bounds"] is True
        assert (options["start_percent"], options["end_percent"]) == when
    pairs = {"positive": positive, "negative": negative, "positive_NEW": positive, "negative_NEW": negative}
    together = call("PairConditioningSetPropertiesAndCombine", **pairs, **properties)
    (one,) = call("ConditioningSetPropertiesAndCombine", cond=positive, cond_NEW=positive, **properties)
    assert [len(each) for each in (*together, one)] == [2, 2, 2]
    assert "mask" not in one[0][1]
    assert "mask" in one[1][1]
    combined = call(
        "PairConditioningCombine",
        positive_A=positive,
        negative_A=negative,
        positive_B=negative,
        negative_B=negative,
    )
    assert [len(each) for each in combined] == [2, 2]
    filled = call(
        "PairConditioningSetDefaultCombine", positive=positive, negative=negative,
        positive_DEFAULT=positive, negative_DEFAULT=negative,
    )  # fmt: skip
    assert [[o.get("default", False) for _, o in each] for each in filled] == [[False, True]] * 2
    (plain,) = call("ConditioningSetProperties", cond_NEW=positive, strength=0.3, set_cond_area="default")
    assert plain[0][1]["strength"] == 0.3


def test_hooks_are_combined_and_each_acts_once(call: Call, parts: tuple[Model, Any]) -> None:
    one, two = (call("CreateHookLora", lora_name="lora.safetensors")[0] for _ in range(2))
    (both,) = call("CombineHooks4", hooks_A=one, hooks_C=two)
    (again,) = call("CombineHooks8", hooks_B=both, hooks_H=one)
    assert len(both.hooks) == 2
    assert again == both
    (chained,) = call("CreateHookLora", lora_name="lora.safetensors", prev_hooks=both)
    assert len(chained.hooks) == 3


def test_a_file_that_fits_nothing_is_named(
    call: Call, parts: tuple[Model, Any], words: tuple[Any, Any], models: Path
) -> None:
    strange = {
        "lora_unet_x.lora_up.weight": torch.ones(2, 1),
        "lora_unet_x.lora_down.weight": torch.ones(1, 2),
    }
    save_file(strange, models / "loras" / "strange.safetensors")
    (hooks,) = call("CreateHookLora", lora_name="strange.safetensors")
    with pytest.raises(FileProblem, match=r"strange.safetensors: It holds no change that fits"):
        sampled(BasicGuider(parts[0], bound(call, words[0], hooks)), torch.tensor([1.0, 0.0]))


def test_spans_and_keyframes(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    assert call("ConditioningTimestepsRange", start_percent=0.25, end_percent=0.75) == (
        (0.25, 0.75),
        (0.0, 0.25),
        (0.75, 1.0),
    )
    with caplog.at_level("INFO"):
        (frames,) = call(
            "CreateHookKeyframesInterpolated", strength_start=0.0, strength_end=2.0, interpolation="linear",
            keyframes_count=3, end_percent=0.5, print_keyframes=True,
        )  # fmt: skip
    assert frames == (Keyframe(0.0, 0.0), Keyframe(1.0, 0.25), Keyframe(2.0, 0.5))
    assert "Keyframe at 0.250: strength 1.0000" in caplog.text
    (one,) = call(
        "CreateHookKeyframesFromFloats", floats_strength=[0.5], start_percent=[0.1], prev_hook_kf=[frames]
    )
    assert one[1] == Keyframe(0.5, 0.1)


def test_listed_numbers_become_keyframes(registry: Registry) -> None:
    prompt: dict[str, Any] = {
        str(number): {"class_type": "PrimitiveFloat", "inputs": {"value": value}}
        for number, value in enumerate((0.0, 1.0, 0.5))
    }
    values = {f"value_{number}": [str(number), 0] for number in range(3)}
    spread = {
        "floats_strength": ["list", 0],
        "start_percent": 0.0,
        "end_percent": 0.5,
        "print_keyframes": False,
    }
    prompt["list"] = {"class_type": "MakeList", "inputs": values}
    prompt["frames"] = {"class_type": "CreateHookKeyframesFromFloats", "inputs": spread}
    with Engine(registry) as engine:
        result = engine.run_sync(Job("listed", prompt, {"frames"}))
    assert result.status == "success", result.failure
    assert result.outputs["frames"] == ([(Keyframe(0.0, 0.0), Keyframe(1.0, 0.25), Keyframe(0.5, 0.5))],)


@pytest.mark.parametrize(
    ("ease", "middle"),
    [("linear", 0.25), ("ease_in", 0.0625), ("ease_out", 0.4375), ("ease_in_out", 0.15625)],
)
def test_eases(ease: str, middle: float) -> None:
    values = between(0.0, 1.0, 5, ease)
    assert (values[0], values[-1]) == (0.0, 1.0)
    assert values[1] == pytest.approx(middle)


def test_the_later_keyframe_of_two_at_one_place_counts() -> None:
    assert together(None, (Keyframe(1, 0.5),), (Keyframe(2, 0.5), Keyframe(3, 0.0))) == (
        Keyframe(3, 0.0),
        Keyframe(2, 0.5),
    )
