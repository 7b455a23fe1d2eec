"""The text encoder as packs know `CLIP`."""

from __future__ import annotations

from collections.abc import Mapping
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

    def tokenize(self, text: str, return_word_ids: bool = False, **_kwargs: Any) -> dict[str, Any]:
        """Chunks of (token, weight) for each tower, under ComfyUI's short names (`l`, `g`, `h`)."""
        run = current_run()
        encoder = self.value.telling(run.notice) if run else self.value
        tokens = {key.removeprefix("clip_"): chunks for key, chunks in encoder.tokenize(text).items()}
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
