"""A header is believed only as far as it fits its file, and a hostile one costs next to nothing."""

import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from diffusion.errors import FileProblem
from diffusion.weights.safetensors_header import MAX_HEADER, read_header


def write(
    path: Path, header: str | bytes | dict[str, Any], data: bytes = b"", length: int | None = None
) -> Path:
    text = json.dumps(header) if isinstance(header, dict) else header
    raw = text.encode() if isinstance(text, str) else text
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def tensor(start: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, Any]:
    return {
        "dtype": dtype,
        "shape": [(end - start) // 4] if shape is None else shape,
        "data_offsets": [start, end],
    }


def test_what_the_official_writer_writes_is_read(tmp_path: Path) -> None:
    tensors = {"a.b": torch.zeros(2, 3), "empty": torch.zeros(0, 4), "one": torch.tensor(1.0).half()}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt", 'q"uo\\te': "ü\n{}"})
    header = read_header(tmp_path / "x.safetensors")
    assert {name: (span.dtype, span.shape) for name, span in header.tensors.items()} == {
        "a.b": ("F32", (2, 3)),
        "empty": ("F32", (0, 4)),
        "one": ("F16", ()),
    }
    assert header.metadata == {"format": "pt", 'q"uo\\te': "ü\n{}"}


def test_fields_may_come_in_any_order_and_with_spaces(tmp_path: Path) -> None:
    text = '{ "a" : { "data_offsets" : [ 0 , 4 ] , "shape" : [ ] , "dtype" : "F32" } }   '
    assert read_header(write(tmp_path / "x", text, b"1234")).tensors["a"].shape == ()


def test_a_header_without_tensors_is_sound(tmp_path: Path) -> None:
    assert not read_header(write(tmp_path / "x", "{}  ")).tensors


HOSTILE: dict[str, tuple[Any, bytes, str]] = {
    "overlap": ({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12), "overlaps another"),
    "gap": ({"a": tensor(0, 4), "b": tensor(8, 12)}, bytes(12), "leaves a gap"),
    "trailing bytes": ({"a": tensor(0, 4)}, bytes(9), "beyond its last tensor"),
    "cut short": ({"a": tensor(0, 400)}, bytes(12), "cut short"),
    "reversed offsets": ({"a": tensor(8, 4, [1])}, bytes(12), "ends before it starts"),
    "wrong size": ({"a": tensor(0, 8, [3])}, bytes(8), "not its shape"),
    "shape overflow": ({"a": tensor(0, 8, [2**40, 2**40, 2**40])}, bytes(8), "not its shape"),
    "unknown type": ({"a": tensor(0, 8, [2], "F99")}, bytes(8), "unknown type 'F99'"),
    "missing field": ({"a": {"dtype": "F32", "shape": [2]}}, bytes(8), "does not follow the format"),
    "negative": ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, bytes(4), "does not follow"),
    "floats": ({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}}, bytes(4), "does not follow"),
    "three offsets": (
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2, 4]}},
        bytes(4),
        "lacks its type",
    ),
    "field twice": ('{"a":{"dtype":"F32","dtype":"F32","shape":[1]}}', bytes(4), "lacks its type"),
    "type is a list": (
        '{"a":{"dtype":["F32"],"shape":[1],"data_offsets":[0,4]}}',
        bytes(4),
        "does not follow",
    ),
    "too many dimensions": ({"a": tensor(0, 4, [1] * 40)}, bytes(4), "does not follow"),
    "duplicate name": (
        '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
        bytes(8),
        "'a' comes twice",
    ),
    "duplicate metadata": ('{"__metadata__":{},"__metadata__":{}}', b"", "comes twice"),
    "metadata with numbers": ('{"__metadata__":{"a":1}}', b"", "does not follow the format"),
    "no object": ("[]", b"", "not a JSON object"),
    "unclosed": ('{"a":', b"", "does not follow the format"),
    "two objects": ("{}{}", b"", "does not follow the format"),
    "nested": ("{" + '"a":{' * 100_000, b"", "does not follow the format"),
    "broken text": (
        b'{"\xff\xfe":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}',
        bytes(4),
        "sound safetensors",
    ),
    "bad escape": ('{"\\q":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', bytes(4), "not valid JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_that_does_not_fit_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    header, data, reason = HOSTILE[name]
    path = write(tmp_path / "bad.safetensors", header, data)
    with pytest.raises(FileProblem) as caught:
        read_header(path)
    assert reason in str(caught.value)
    assert "bad.safetensors" in str(caught.value)
    assert caught.value.advice


LENGTHS = {
    "beyond the file": 1 << 20,
    "beyond any file": 2**64 - 1,
    "a hundred megabytes": 100_000_000,
    "none": 0,
}


@pytest.mark.parametrize("name", LENGTHS)
def test_a_false_length_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileProblem):
        read_header(write(tmp_path / "x", "{}", length=LENGTHS[name]))


EXPENSIVE = {
    "a hundred megabytes of spaces": lambda: b"{" + b" " * 100_000_000,
    "the longest allowed, of spaces": lambda: b"{" + b" " * (MAX_HEADER - 1),
    "the longest allowed, of brackets": lambda: b"[" * MAX_HEADER,
    "one endless name": lambda: b'{"' + b"a" * (MAX_HEADER - 2),
    "empty lists in metadata": lambda: b'{"__metadata__":{"a":[' + b"[]," * (MAX_HEADER // 3 - 10),
    "backslashes": lambda: b'{"' + b"\\" * (MAX_HEADER - 2),
    "backslashes in metadata": lambda: b'{"__metadata__":{"a":"' + b"\\n" * (MAX_HEADER // 2 - 20),
}


def quickest(work: Callable[[], object]) -> float:
    """Seconds of processor time, the best of three."""
    seconds = []
    for _ in range(3):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


@pytest.mark.parametrize("name", EXPENSIVE)
def test_a_hostile_header_costs_little_time_and_memory(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x", EXPENSIVE[name]())

    def refused() -> None:
        with pytest.raises(FileProblem):
            read_header(path)

    refused()  # once untimed: the file's pages are then in memory
    longest = json.dumps("\n" * (MAX_HEADER // 2))  # as many bytes, which any reader has to look at
    assert quickest(refused) < 9 * quickest(lambda: json.loads(longest))
    tracemalloc.start()
    with pytest.raises(FileProblem):
        read_header(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


@given(st.binary(max_size=200))
def test_noise_is_never_taken_for_a_header(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    path = tmp_path_factory.mktemp("noise") / "x"
    path.write_bytes(noise)
    with pytest.raises(FileProblem):
        read_header(path)
