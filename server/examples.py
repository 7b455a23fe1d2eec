"""The example workflows: prompts in the API's form, below the page as `examples/NAME.json`."""

import json
from pathlib import Path
from typing import Any

NAMES = ("CLIP", "ControlNet", "EDM", "FreeU", "GLIGEN", "LoRA", "PhotoMaker", "SD2", "SDXL", "VAE", "unCLIP")
"""Words that are written so in a title."""


def examples(folder: Path) -> dict[str, Any]:
    """Name, title and node types of each example; those that cannot be read, with what is wrong."""
    found, broken = [], {}
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stem):
        try:
            found.append({"name": path.stem, "title": title(path.stem), "types": node_types(path)})
        except (OSError, ValueError, RecursionError) as error:
            broken[path.stem] = str(error)
    return {"examples": found, "broken": broken}


def title(name: str) -> str:
    """A file's name as words: `crop-and-stitch` is "Crop and stitch"."""
    spelt = {word.lower(): word for word in NAMES}
    first, *others = name.split("-")
    return " ".join([spelt.get(first, first.capitalize()), *(spelt.get(word, word) for word in others)])


def node_types(path: Path) -> list[str]:
    """The node types in a prompt's file.

    Raises:
        ValueError: the file holds no prompt.
    """
    prompt = json.loads(path.read_bytes())
    nodes = list(prompt.values()) if isinstance(prompt, dict) else []
    found = [node.get("class_type") if isinstance(node, dict) else None for node in nodes]
    types = [each for each in found if isinstance(each, str)]
    if not types or len(types) < len(found):
        raise ValueError("It is no prompt: expected an object of nodes with `class_type` and `inputs`.")
    return sorted(set(types))
