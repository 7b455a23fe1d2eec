"""Workflow files of every kind are read, changed, and complained about by name."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.declare.spec import InputSpec, NodeSpec
from nodeloom.documents import BadDocument, Document, change, read, value
from pictures.texts import PNG_SIGNATURE, png_texts

SPECS = {
    "EmptyImage": NodeSpec(
        "EmptyImage",
        inputs=tuple(InputSpec(name, "INT", {}) for name in ("width", "height", "batch_size", "color")),
    ),
    "ImageInvert": NodeSpec("ImageInvert", inputs=(InputSpec("image", "IMAGE"),)),
    "SaveImage": NodeSpec(
        "SaveImage", inputs=(InputSpec("images", "IMAGE"), InputSpec("filename_prefix", "STRING", {}))
    ),
}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes) -> bytes:
    return PNG_SIGNATURE + b"".join(chunks) + chunk(b"IEND", b"")


def inputs(document: Document) -> dict[str, Any]:
    return {node: each["inputs"] for node, each in document.prompt.items()}


def test_both_forms_and_a_request_body_read_the_same(
    tmp_path: Path, prompt: dict[str, Any], workflow: dict[str, Any]
) -> None:
    contents = {"api": prompt, "editor": workflow, "body": {"prompt": prompt, "client_id": "x"}}
    found = {}
    for name, content in contents.items():
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        found[name] = read(path, SPECS)
    assert inputs(found["api"]) == inputs(found["editor"]) == inputs(found["body"])
    assert [found[name].name for name in contents] == list(contents)
    assert found["editor"].extra_data["extra_pnginfo"]["workflow"] == workflow


@pytest.mark.parametrize("kind", ["tEXt", "iTXt", "zipped iTXt"])
def test_a_picture_gives_the_prompt_it_carries(tmp_path: Path, prompt: dict[str, Any], kind: str) -> None:
    text = json.dumps(prompt).encode()
    bodies = {
        "tEXt": chunk(b"tEXt", b"prompt\0" + text),
        "iTXt": chunk(b"iTXt", b"prompt\0\0\0\0\0" + text),
        "zipped iTXt": chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(text)),
    }
    path = tmp_path / "a.png"
    path.write_bytes(png(bodies[kind]))
    assert read(path, SPECS).prompt == prompt


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (None, "No such file"),
        (b"", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[]", "is no workflow"),
        (b"{}", "is no workflow"),
        (b'{"1": {"inputs": {}}}', "is no workflow"),
        (b'{"nodes": [{}]}', "no `id` or no `type`"),
        (png(), "carries no workflow"),
        (PNG_SIGNATURE + b"\xff\xff", "carries no workflow"),
    ],
)
def test_a_file_without_a_workflow_is_named(tmp_path: Path, data: bytes | None, complaint: str) -> None:
    path = tmp_path / "flow.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BadDocument, match=complaint) as raised:
        read(path, SPECS)
    assert "flow.json" in str(raised.value)


@given(st.binary(max_size=200))
def test_any_damaged_picture_is_survived(rest: bytes) -> None:
    body = b"workflow\0{}"
    chunk = struct.pack(">I", len(body)) + b"tEXt" + body + struct.pack(">I", zlib.crc32(b"tEXt" + body))
    texts = png_texts(PNG_SIGNATURE + chunk + rest)
    assert texts["workflow"] == "{}" or b"workflow" in rest, "what stands before the damage is read"
    assert all(isinstance(text, str) for text in texts.values())
    assert sum(map(len, texts.values())) <= len(rest) + 2, "a small file holds no large text"


def test_settings_change_inputs_and_nothing_else(prompt: dict[str, Any]) -> None:
    before = json.dumps(prompt)
    changed = change(Document("d", prompt), ["1.width=32", "3.filename_prefix=a b=c", '2.image=["1", 0]'])
    assert changed.prompt["1"]["inputs"]["width"] == 32
    assert changed.prompt["3"]["inputs"]["filename_prefix"] == "a b=c"
    assert changed.prompt["2"]["inputs"]["image"] == ["1", 0]
    assert json.dumps(prompt) == before


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("nonsense", "expected NODE.INPUT=VALUE"),
        ("width=3", "expected NODE.INPUT=VALUE"),
        ("9.width=3", "no node '9'; the nodes are 1, 2, 3"),
        ("1.widht=3", r"node 1 \(EmptyImage\) has no 'widht'; did you mean 'width'\?"),
    ],
)
def test_a_setting_that_fits_nothing_says_what_would(
    prompt: dict[str, Any], setting: str, complaint: str
) -> None:
    with pytest.raises(BadDocument, match=complaint):
        change(Document("d", prompt), [setting])


@pytest.mark.parametrize(
    ("text", "meant"), [("7", 7), ("0.5", 0.5), ("true", True), ("a fox", "a fox"), ('"7"', "7")]
)
def test_a_value_is_json_or_text(text: str, meant: Any) -> None:
    assert value(text) == meant
