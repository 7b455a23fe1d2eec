"""The text encoder as packs know `CLIP`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from compat.current import current_run
from compat.values.facade import Facade

if TYPE_CHECKING:
    from diffusion.text.encoding import TextEncoder


class Clip(Facade):
    """The text encoder as `CLIP`."""

    kind = "CLIP"

    def __init__(self, value: TextEncoder) -> None:
        self.value = value

    def own(self) -> TextEncoder:
        """The encoder, with what was changed."""
        return self.value

    def clone(self) -> Clip:
        """One that can be changed apart."""
        return Clip(self.value)

    def clip_layer(self, layer_idx: int) -> None:
        """Stop earlier; −1 is the last layer."""
        self.value = self.value.with_last_layer(layer_idx)

    def set_tokenizer_option(self, option_name: str, value: int) -> None:
        """Fill texts of one tower up otherwise: `t5xxl_min_length`, `t5xxl_min_padding` and so on."""
        key, _, what = option_name.rpartition("_min_")
        tower = self.value.tower(key)
        if tower is None or tower.rule.frame.length is not None or what not in ("length", "padding"):
            return
        frame = tower.rule.frame
        least, more = (value, frame.more) if what == "length" else (frame.least, value)
        self.value = self.value.padded([key], least, more)

    def tokenize(
        self,
        text: str,
        return_word_ids: bool = False,
        llama_template: str | None = None,
        images: Sequence[Any] = (),
        **_kwargs: Any,
    ) -> dict[str, Any]:
        """Chunks of (token, weight) for each tower, under ComfyUI's short names (`l`, `g`, `h`).

        `llama_template` takes the place of the family's own, `images` (1×H×W×C) those of pictures in it.
        """
        from diffusion.text.tokens import Picture

        run = current_run()
        encoder = self.value.telling(run.notice) if run else self.value
        found = encoder.tokenize(text, llama_template, [Picture(image) for image in images])
        tokens = {key.removeprefix("clip_"): chunks for key, chunks in found.items()}
        if not return_word_ids:
            return tokens
        return {key: [[(*pair, 0) for pair in chunk] for chunk in chunks] for key, chunks in tokens.items()}

    def encode_from_tokens(
        self, tokens: Mapping[str, Any], return_pooled: bool | str = False, return_dict: bool = False
    ) -> Any:
        """The embedding of tokens; with the pooled vector, or both in a dict, if asked for."""
        run = current_run()
        keys = {tower.key.removeprefix("clip_"): tower.key for tower in self.value.towers}
        chunks = {
            keys[short]: [[(t, w) for t, w, *_ in chunk] for chunk in found]
            for short, found in tokens.items()
        }
        encoded = self.value.encode(chunks, run.check) if run else self.value.encode(chunks)
        if return_dict:
            return {"cond": encoded.cond, "pooled_output": encoded.pooled, **encoded.extra}
        return (encoded.cond, encoded.pooled) if return_pooled else encoded.cond

    def encode_from_tokens_scheduled(
        self,
        tokens: Mapping[str, Any],
        unprojected: bool = False,
        add_dict: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> list[list[Any]]:
        """The embedding of tokens as a conditioning."""
        found = self.encode_from_tokens(tokens, return_dict=True)
        return [[found.pop("cond"), {**found, **(add_dict or {})}]]

    def encode(self, text: str) -> Any:
        """The embedding of a text."""
        return self.encode_from_tokens(self.tokenize(text))
