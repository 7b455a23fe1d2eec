"""Workflow files read from disk, their inputs changed, and turned into prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from execution.declare.spec import NodeSpec
from execution.errors import WorkflowError
from pictures.texts import PNG_SIGNATURE, exif_texts, is_picture, png_texts
from workflows.prompt import is_workflow, to_prompt
from workflows.replacements import by_old_type, replaced_prompt, replaced_workflow


class BadDocument(Exception):
    """A file without a workflow, or a change that does not fit it; the text names place and cure."""


@dataclass(frozen=True)
class Document:
    """A prompt and what goes with it. `name` is the file's, without its suffix."""

    name: str
    prompt: dict[str, Any]
    extra_data: dict[str, Any] = field(default_factory=dict)


def read(
    path: Path, specs: Mapping[str, NodeSpec], replacements: Sequence[Mapping[str, Any]] = ()
) -> Document:
    """The prompt in a file: JSON of either form, or a picture that carries one.

    Raises:
        BadDocument: the file cannot be read, is no JSON, or holds neither form.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadDocument(f"{path}: {error.strerror}") from error
    text = picture_workflow(data, path) if data.startswith(PNG_SIGNATURE) or is_picture(data) else data
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadDocument(f"{path} is not a workflow: not valid JSON ({error})") from error
    return document(path.stem, content, specs, str(path), replacements)


def document(
    name: str,
    content: Any,
    specs: Mapping[str, NodeSpec],
    place: str = "the workflow",
    replacements: Sequence[Mapping[str, Any]] = (),
) -> Document:
    """The prompt in a JSON value of either form; a body of `POST /prompt` counts as the API's form.
    `replacements` say what takes the place of node types that have gone.

    Raises:
        BadDocument: it is neither.
    """
    if isinstance(content, Mapping) and isinstance(content.get("prompt"), Mapping):
        content = content["prompt"]
    listed = by_old_type(replacements)
    if is_workflow(content):
        try:
            return Document(name, *to_prompt(replaced_workflow(content, listed, specs), specs))
        except WorkflowError as error:
            raise BadDocument(f"{place}: {error}") from error
    if not isinstance(content, Mapping) or not content or not all(map(is_node, content.values())):
        raise BadDocument(
            f"{place} is no workflow: expected the editor's form (an object with `nodes` and `links`) "
            "or the API's (an object of nodes with `class_type` and `inputs`)"
        )
    return Document(name, json.loads(json.dumps(replaced_prompt(content, listed, specs))))


def is_node(value: Any) -> bool:
    """Whether a JSON value is a node of a prompt."""
    return isinstance(value, Mapping) and "class_type" in value


def picture_workflow(data: bytes, path: Path) -> str:
    """The prompt (else the workflow) in a PNG's text chunks or another picture's EXIF.

    Raises:
        BadDocument: there is none.
    """
    texts = png_texts(data) if data.startswith(PNG_SIGNATURE) else exif_texts(data)
    for keyword in ("prompt", "workflow"):
        if keyword in texts:
            return texts[keyword]
    raise BadDocument(f"{path} carries no workflow: its metadata was removed, or another program made it")


def change(found: Document, settings: Sequence[str]) -> Document:
    """The document with inputs set: each setting is `NODE.INPUT=VALUE`, VALUE JSON or else text.

    Raises:
        BadDocument: a setting is malformed, or names no node or input of the prompt.
    """
    prompt = {key: {**node, "inputs": dict(node.get("inputs", {}))} for key, node in found.prompt.items()}
    for setting in settings:
        place, equals, text = setting.partition("=")
        node, dot, name = place.rpartition(".")
        if not (equals and dot):
            raise BadDocument(f"--set {setting}: expected NODE.INPUT=VALUE, such as 3.seed=7")
        if node not in prompt:
            raise BadDocument(f"--set {setting}: there is no node {node!r}; the nodes are {listed(prompt)}")
        if name not in prompt[node]["inputs"]:
            near = get_close_matches(name, prompt[node]["inputs"], 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {listed(prompt[node]['inputs'])}"
            raise BadDocument(
                f"--set {setting}: node {node} ({prompt[node]['class_type']}) has no {name!r}; {hint}"
            )
        prompt[node]["inputs"][name] = value(text)
    return Document(found.name, prompt, found.extra_data)


def value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def listed(names: Mapping[str, Any]) -> str:
    """Names for a message, the first twenty."""
    shown = ", ".join(list(names)[:20])
    return f"{shown}, …" if len(names) > 20 else shown
