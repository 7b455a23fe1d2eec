"""Files become text encoders by what they are and what the loader says they are for; misfits are said."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffusion.errors import Mismatch, UnknownModel
from diffusion.patches.weights import adapters
from diffusion.patches.weights.weight_hooks import Keyframe, OnText, WeightHooks, lora_hook, spans
from diffusion.residency.budget import Residency
from diffusion.residency.precision import Precision
from diffusion.text.encoding import TextEncoder
from diffusion.text.loading import load_text_encoder
from diffusion.text.recipes import hunyuan_video_cut
from diffusion.text.tokens import Picture, Token
from diffusion.weights.files import open_weights
from tests.diffusion.text import small_encoders as small

MAKERS: Mapping[str, Callable[[], small.Tensors]] = {
    "clip_l": small.clip_l,
    "clip_g": small.clip_g,
    "t5xxl": small.t5,
    "t5old": lambda: small.t5(small.OLD_T5),
    "pile": lambda: small.t5(small.PILE_T5),
    "llama": lambda: small.whole_decoder("llama", small.LLAMA),
    "gemma": lambda: small.with_pieces(small.decoder("gemma2")),
    "qwen7b": lambda: small.whole_decoder("qwen2", small.QWEN_7B, vision=True),
    "qwen3b": lambda: small.whole_decoder("qwen2", small.QWEN_3B),
    "bert": small.bert,
    "mt5": lambda: small.with_pieces(small.t5(small.MT5)),
    "umt5": lambda: small.with_pieces(small.t5(small.PILE_T5)),
    "umt5base": lambda: small.with_pieces(small.t5(small.UMT5_BASE)),
    "t5base": lambda: small.t5(small.T5_BASE),
    "byt5": lambda: small.t5(small.BYT5),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small encoders of each kind."""
    folder = tmp_path_factory.mktemp("encoders")
    for name, make in MAKERS.items():
        tensors = {key: each.half() if each.is_floating_point() else each for key, each in make().items()}
        save_file(tensors, folder / f"{name}.safetensors")
    save_file({"x": torch.zeros(1)}, folder / "none.safetensors")
    (folder / "llama3.tokenizer.json").write_text(small.byte_tokenizer(), "utf-8")
    (folder / "hunyuan_dit.vocab.txt").write_text(small.VOCABULARY, "utf-8")
    return folder


def load(folder: Path, type: str, *names: str) -> TextEncoder:
    """The encoder of files for a family."""
    paths = [folder / f"{name}.safetensors" for name in names]
    return load_text_encoder(paths, Residency(Precision("fp32"), "cpu"), type=type)


@pytest.mark.parametrize(
    ("type", "names", "recipe", "keys"),
    [
        ("stable_diffusion", ["clip_l"], "sd1", "l"),
        ("stable_diffusion", ["clip_g"], "sdxl_refiner", "g"),
        ("sdxl", ["clip_g", "clip_l"], "sdxl", "l g"),
        ("flux", ["t5xxl", "clip_l"], "flux", "l t5xxl"),
        ("sd3", ["t5xxl", "clip_g", "clip_l"], "sd3", "l g t5xxl"),
        ("sd3", ["clip_g"], "sd3", "g"),
        ("pixart", ["t5xxl"], "pixart", "t5xxl"),
        ("chroma", ["t5xxl"], "chroma", "t5xxl"),
        ("stable_cascade", ["clip_g"], "stable_cascade", "g"),
        ("stable_diffusion", ["t5xxl"], "mochi", "t5xxl"),
        ("stable_diffusion", ["t5old"], "cosmos", "t5xxl"),
        ("stable_diffusion", ["pile"], "auraflow", "pile_t5xl"),
        ("wan", ["umt5"], "wan", "umt5xxl"),
        ("hunyuan_video", ["llama", "clip_l"], "hunyuan_video", "l llama"),
        ("ltxv", ["t5xxl"], "ltxv", "t5xxl"),
        ("ace", ["umt5base"], "ace", "umt5base"),
        ("stable_audio", ["t5base"], "stable_audio", "t5base"),
        ("lumina2", ["gemma"], "lumina2", "gemma2_2b"),
        ("omnigen2", ["qwen3b"], "omnigen2", "qwen25_3b"),
        ("qwen_image", ["qwen7b"], "qwen_image", "qwen25_7b"),
        ("hunyuan_image", ["byt5", "qwen7b"], "hunyuan_image", "qwen25_7b byt5"),
        ("stable_diffusion", ["llama"], "hidream", "llama"),
        ("hidream", ["llama", "t5xxl", "clip_g", "clip_l"], "hidream", "l g t5xxl llama"),
        ("sdxl", ["bert", "mt5"], "hunyuan_dit", "hydit_clip mt5xl"),
    ],
)
def test_the_type_and_the_files_say_how_texts_are_read(
    folder: Path, type: str, names: list[str], recipe: str, keys: str
) -> None:
    encoder = load(folder, type, *names)
    assert encoder.recipe.name == recipe
    assert [tower.key for tower in encoder.towers] == keys.split()


@pytest.mark.parametrize(
    ("type", "names", "said"),
    [
        ("flux", ["clip_l"], r"Flux reads .*clip_l\.safetensors is CLIP L; T5-XXL is missing"),
        (
            "flux",
            ["clip_l", "clip_g"],
            r"Flux reads texts with CLIP L, T5-XXL, but .*clip_g.* is OpenCLIP bigG",
        ),
        ("flux", ["clip_l", "t5old"], r"T5-XXL of the first kind"),
        ("flux", ["clip_l", "clip_l"], r"T5-XXL is missing"),
        ("pixart", ["clip_l"], r"PixArt reads texts with T5-XXL, but clip_l\.safetensors is CLIP L"),
        ("sdxl", ["clip_l", "t5xxl"], r"Stable Diffusion XL reads .*t5xxl\.safetensors is T5-XXL"),
    ],
)
def test_a_wrong_or_missing_encoder_is_said_by_its_file(
    folder: Path, type: str, names: list[str], said: str
) -> None:
    with pytest.raises(Mismatch, match=said):
        load(folder, type, *names)


def test_two_files_of_one_kind_are_refused(folder: Path) -> None:
    (folder / "again.safetensors").write_bytes((folder / "clip_l.safetensors").read_bytes())
    with pytest.raises(Mismatch, match=r"clip_l\.safetensors and again\.safetensors are both CLIP L"):
        load(folder, "flux", "clip_l", "again")


def test_a_file_without_an_encoder_is_named(folder: Path) -> None:
    with pytest.raises(UnknownModel, match=r"(?s)none\.safetensors: No text encoder.*T5-XXL"):
        load(folder, "flux", "clip_l", "none")


def test_flux_pads_for_t5_and_takes_clips_pooled_vector(folder: Path) -> None:
    encoder = load(folder, "flux", "clip_l", "t5xxl")
    short, long = encoder.text("a cat"), encoder.text("a cat " * 200)
    assert short.cond.shape == (1, 256, 144)
    assert long.cond.shape[1] > 256
    assert short.pooled is not None
    assert short.pooled.shape == (1, 64)


def test_lengths_for_t5_can_be_set(folder: Path) -> None:
    encoder = load(folder, "flux", "clip_l", "t5xxl")
    assert encoder.padded(("t5xxl",), 0, 3).text("a cat").cond.shape[1] == 4 + 3  # ▁ a ▁cat </s>
    assert encoder.padded(("t5xxl",), 40, 0).text("a cat").cond.shape[1] == 40


def test_words_count_more_or_less_for_t5_too(folder: Path) -> None:
    encoder = load(folder, "pixart", "t5xxl")
    plain, strong = encoder.text("a cat").cond, encoder.text("a (cat:1.5)").cond
    empty = encoder.encode({"t5xxl": [[(0, 1.0)] * plain.shape[1]]}).cond
    torch.testing.assert_close(
        strong[:, 2], empty[:, 2] + 1.5 * (plain[:, 2] - empty[:, 2]), atol=1e-5, rtol=1e-4
    )


def test_learned_vectors_reach_t5(folder: Path) -> None:
    encoder = load(folder, "pixart", "t5xxl")
    known = {"style": {"t5xxl": torch.ones(2, 144)}}
    named = TextEncoder(encoder.towers, encoder.recipe, known.get)
    tokens = named.tokenize("a embedding:style")["t5xxl"][0]
    assert [isinstance(token, torch.Tensor) for token, _ in tokens] == [False, False, True, True, False]
    assert named.encode({"t5xxl": [tokens]}).cond.shape == (1, 5, 144)


def test_clip_skip_reaches_t5(folder: Path) -> None:
    encoder = load(folder, "pixart", "t5xxl")
    assert not torch.allclose(encoder.text("a cat").cond, encoder.with_last_layer(-2).text("a cat").cond)


def test_stable_diffusion_3_without_some_of_its_encoders(folder: Path) -> None:
    both = load(folder, "sd3", "clip_l", "clip_g").text("a cat")
    assert both.cond.shape == (1, 77, 4096), "as wide as the published T5"
    assert both.pooled is not None
    assert both.pooled.shape == (1, 128)
    alone = load(folder, "sd3", "t5xxl").text("a cat")
    assert alone.cond.shape == (1, 77, 144)
    assert alone.pooled is not None
    assert alone.pooled.shape == (1, 2048)
    assert not alone.pooled.any()


def test_masked_vectors_are_zero_where_the_family_wants_it(folder: Path) -> None:
    found = load(folder, "cosmos", "t5old").text("a cat")
    mask = found.extra["attention_mask"]
    assert mask.shape == (1, 512)
    assert int(mask.sum()) == 4
    assert not found.cond[:, 4:].any()
    assert found.cond[:, :4].any()


@pytest.mark.parametrize("mode", ["a1111", "compel", "down_weight"])
def test_other_readings_of_weights_work_for_every_tower(folder: Path, mode: str) -> None:
    from diffusion.text.prompt_modes import encode

    encoder = load(folder, "flux", "clip_l", "t5xxl")
    plain, found = encoder.text("a (red:0.6) cat"), encode(encoder, "a (red:0.6) cat", mode)  # type: ignore[arg-type]
    assert found.cond.shape == plain.cond.shape
    assert not torch.allclose(found.cond, plain.cond)


def test_every_layer_of_llama_reaches_hidream(folder: Path) -> None:
    encoder = load(folder, "hidream", "llama", "t5xxl", "clip_g", "clip_l")
    found = encoder.text("a cat")
    assert found.cond.shape == (1, 128, 144)
    assert found.pooled is not None
    assert found.pooled.shape == (1, 128)
    assert found.extra["conditioning_llama3"].shape == (1, 3, 128, 16)
    alone = load(folder, "hidream", "clip_l").text("a cat")
    assert alone.cond.shape == (1, 128, 4096)
    assert alone.extra["conditioning_llama3"].shape == (1, 32, 1, 4096)


def test_a_weight_in_llamas_text_acts_on_the_layer_of_its_number(folder: Path) -> None:
    """As pictures are made elsewhere: the second token's weight moves the second of all layers."""
    encoder = load(folder, "hidream", "llama")
    plain, strong = (encoder.text(text).extra["conditioning_llama3"] for text in ("ab", "(a:2)b"))
    assert not torch.allclose(strong[:, 0], plain[:, 0])
    torch.testing.assert_close(strong[:, 1:], plain[:, 1:], rtol=1e-4, atol=1e-5)


def test_lumina_begins_with_a_token_and_returns_a_mask(folder: Path) -> None:
    encoder = load(folder, "lumina2", "gemma")
    tokens = encoder.tokenize("words")["gemma2_2b"][0]
    assert tokens[0] == (2, 1.0)
    found = encoder.encode({"gemma2_2b": [tokens]})
    assert found.extra["attention_mask"].tolist() == [[1] * len(tokens)]
    assert not torch.allclose(encoder.text("(words:1.4)").cond, found.cond)


def test_omnigen_takes_weights_though_its_empty_text_has_nothing_to_read(folder: Path) -> None:
    found = load(folder, "omnigen2", "qwen3b").text("a (cat:1.4)")
    assert bool(found.cond.isfinite().all())
    assert found.extra["attention_mask"].shape[1] == found.cond.shape[1]


def test_qwen_image_cuts_its_template_and_reads_no_weights(folder: Path) -> None:
    encoder = load(folder, "qwen_image", "qwen7b")
    empty, words = encoder.text(""), encoder.text("a cat")
    assert empty.cond.shape == (1, 5, 16)
    assert words.cond.shape[1] == 7
    assert words.extra == {}
    weighted = encoder.text("a (cat:1.4)")
    assert weighted.cond.shape[1] > words.cond.shape[1], "brackets are words"


def test_pictures_take_their_places_in_a_text(folder: Path) -> None:
    encoder = load(folder, "qwen_image", "qwen7b")
    text = "<|vision_start|><|image_pad|><|vision_end|>what is this"
    shown = encoder.tokenize(text, pictures=[Picture(torch.rand(1, 56, 84, 3))])
    bare = encoder.tokenize(text)
    assert sum(isinstance(token, Picture) for token, _ in shown["qwen25_7b"][0]) == 1
    length = encoder.encode(bare).cond.shape[1]
    assert encoder.encode(shown).cond.shape[1] == length + 6 - 1


def test_hunyuan_image_reads_what_shall_be_written_apart(folder: Path) -> None:
    encoder = load(folder, "hunyuan_image", "byt5", "qwen7b")
    assert "conditioning_byt5small" not in encoder.text("a sign").extra
    found = encoder.text('a sign that says "Hi" and “Ho”').extra["conditioning_byt5small"]
    assert found.shape == (1, len('Text "Hi". Text "Ho". ') + 1, 32)


def test_hunyuan_dit_has_two_texts_and_two_masks(folder: Path) -> None:
    found = load(folder, "hunyuan_dit", "bert", "mt5").text("a cat")
    assert found.cond.shape == (1, 77, 128)
    assert found.pooled is None
    assert found.extra["conditioning_mt5xl"].shape == (1, 256, 16)
    assert found.extra["attention_mask_mt5xl"].shape == (1, 256)
    assert int(found.extra["attention_mask"].sum()) == 6, "[CLS] a c ##a ##t [SEP]"


def test_hunyuan_video_keeps_the_users_turn(folder: Path) -> None:
    start, user, end = [128000, 7, 128006, 882, 128007, 271], [5, 6, 128009], [8]
    chunk: list[Token] = [(number, 1.0) for number in (*start, *user, *end)]
    assert chunk[hunyuan_video_cut(chunk)] == chunk[6:9]
    assert hunyuan_video_cut(chunk[:2]) == slice(0, None)
    found = load(folder, "hunyuan_video", "llama", "clip_l").text("a cat")
    assert found.pooled is not None
    assert found.pooled.shape == (1, 64)


def test_changes_of_weights_that_come_and_go_reach_t5(folder: Path) -> None:
    encoder = load(folder, "flux", "clip_l", "t5xxl")
    name = "lora_te2_encoder_block_0_layer_0_SelfAttention_q"
    factors = {f"{name}.lora_up.weight": torch.ones(32, 2), f"{name}.lora_down.weight": torch.ones(2, 144)}
    save_file(factors, folder / "lora.safetensors")
    hooks = WeightHooks((lora_hook(open_weights(folder / "lora.safetensors"), 1.0, 0.5),))
    early = hooks.with_keyframes((Keyframe(0.0, 0.0), Keyframe(1.0, 0.4)))
    (before, first), (after, second) = spans(encoder.carrying(OnText(early, False, True)))
    assert (first["clip_end_percent"], second["clip_start_percent"]) == (0.4, 0.4)
    _, changed = adapters.apply(folder / "lora.safetensors", None, encoder, 1.0, 0.5)
    assert changed is not None
    plain, steady = encoder.text("a cat").cond, changed.text("a cat").cond
    assert torch.equal(before.text("a cat").cond, plain)
    torch.testing.assert_close(after.text("a cat").cond, steady)
    assert not torch.allclose(steady, plain)


@pytest.mark.parametrize(("type", "name"), [("pixart", "t5xxl"), ("omnigen2", "qwen3b")])
def test_an_encoder_larger_than_the_budget_is_read_layer_by_layer(folder: Path, type: str, name: str) -> None:
    notices: list[str] = []
    path = folder / f"{name}.safetensors"
    small_room = Residency(Precision("fp32"), "cpu", budget=lambda device: 1 << 20, notice=notices.append)
    streamed = load_text_encoder([path], small_room, type=type).text("a cat").cond
    assert notices
    assert "are read as needed" in notices[0]
    assert torch.equal(streamed, load(folder, type, name).text("a cat").cond)
