"""A text into conditioning with a choice of how weights are read, and with texts that change over the run."""

import re
from typing import Annotated, Any

from diffusion.patches.weights.weight_hooks import spans as encoder_spans
from diffusion.text.prompt_modes import Mode, encode
from diffusion.text.prompt_schedule import spans, together
from diffusion.text.recipe import Embedding
from execution.declare.node import Range, Run, Tip, node
from execution.files.folders import Folders
from nodes.sockets import Clip, Conditioning
from nodes.text.embeddings import embedding_stamps
from nodes.text.text import Encoder, present
from nodes.widgets import Prompt


def scheduled_text_files(folders: Folders, text: str | None = None) -> list[Any] | None:
    """What the key of a text adds to its words: the files of the embeddings it names, also in brackets."""
    return embedding_stamps(folders, None if text is None else re.sub(r"[\[\]|]", " ", text))


@node(
    "CLIPTextEncodeModes",
    category="conditioning",
    fingerprint=scheduled_text_files,
    search_aliases=("a1111", "compel", "prompt schedule", "BREAK", "AND"),
)
def encode_text_modes(
    text: Annotated[
        Prompt,
        Tip(
            "(more:1.2), (less:0.8), BREAK, a AND b :0.7, [from:to:0.5], [add:0.3], [drop::0.7], [this|that]."
        ),
    ],
    clip: Encoder,
    mode: Annotated[
        Mode, Tip("How weights are read: as here, as in A1111, as Compel does, or only downwards.")
    ] = "comfy",
    scheduled: Annotated[bool, Tip("Whether AND and [from:to:when] mean something.")] = True,
    steps: Annotated[
        int, Range(1, 1000), Tip("The sampler's steps: [a|b] takes turns by them, [a:b:8] counts them.")
    ] = 20,
    *,
    run: Run,
) -> Conditioning:
    """CLIP Text Encode (Modes).

    Turns a text into what steers the model, its weights read in one of four ways, and changing over the run.
    Changes fall on steps exactly where the schedule's steps are even in time, as those of normal are.
    """
    clip = present(clip, run)
    known: dict[str, list[tuple[Any, dict[str, Any]]]] = {}
    entries: list[Any] = []
    for part, strength in together(text) if scheduled else [(text, 1.0)]:
        for words, start, end in spans(part, steps) if scheduled else [(part, 0.0, 1.0)]:
            if words not in known:
                known[words] = _encoded(clip, words, mode, run)
            placed: dict[str, Any] = {} if strength == 1 else {"strength": strength}
            if (start, end) != (0.0, 1.0):
                placed |= {"start_percent": start, "end_percent": end}
            entries += [[cond, {**options, **placed}] for cond, options in known[words]]
    return entries


def _encoded(clip: Clip, text: str, mode: Mode, run: Run) -> list[tuple[Any, dict[str, Any]]]:
    found = []
    for encoder, span in encoder_spans(clip):
        embedding: Embedding = encode(encoder, text, mode, run.check)
        pooled = {} if embedding.pooled is None else {"pooled_output": embedding.pooled}
        found.append((embedding.cond, {**pooled, **embedding.extra, **span}))
    return found
