"""PyTorch files give up their tensors and never get to run anything."""

import io
import os
import pickle
import pickletools
import time
import zipfile
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.errors import FileProblem
from diffusion.weights.pickled import open_pickled
from diffusion.weights.unpickling import BadPickle, Call, Name, Reference, Unpickling


class Harmful:
    """What a hostile file holds: unpickling it would make a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.system, (f"touch {self.canary}",))


def saved(path: Path, value: Any, new: bool = True) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=new)
    return path


STATE = {
    "plain": torch.randn(3, 4),
    "half": torch.randn(5).half(),
    "bf16": torch.randn(5).bfloat16(),
    "long": torch.arange(6).reshape(2, 3),
    "bool": torch.tensor([True, False]),
    "turned": torch.randn(4, 6).t(),
    "every second": torch.arange(10.0)[::2],
    "scalar": torch.tensor(2.0),
    "empty": torch.empty(0, 3),
}


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_tensors_of_all_kinds_come_back(new: bool, tmp_path: Path) -> None:
    weights = open_pickled(saved(tmp_path / "x.pt", STATE, new))
    assert set(weights) == set(STATE)
    for name, tensor in STATE.items():
        assert weights[name].shape == tuple(tensor.shape)
        assert torch.equal(weights.tensor(name), tensor), name


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_wrappers_around_a_state_dict_are_taken_off(new: bool, tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 3)
    value = {"state_dict": layer.state_dict(), "epoch": 3, "hyper": {"lr": 0.1, "names": ["a", None, True]}}
    weights = open_pickled(saved(tmp_path / "x.ckpt", value, new))
    assert sorted(weights) == ["bias", "weight"]
    assert torch.equal(weights.tensor("weight"), layer.weight)


def test_parameters_nested_dicts_and_shared_storages_are_read(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    value = {"string_to_param": {"*": torch.nn.Parameter(base[:6].reshape(2, 3))}, "other": base[6:]}
    weights = open_pickled(saved(tmp_path / "x.pt", OrderedDict(value)))
    assert torch.equal(weights.tensor("string_to_param.*"), base[:6].reshape(2, 3))
    assert torch.equal(weights.tensor("other"), base[6:])


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("beside", [True, False], ids=["beside tensors", "alone"])
def test_a_hostile_file_never_runs(new: bool, beside: bool, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    value: dict[str, Any] = {"evil": Harmful(canary)}
    if beside:
        value["good"] = torch.ones(2)
    path = saved(tmp_path / "x.pt", value, new)
    if beside:
        assert list(open_pickled(path)) == ["good"]
    else:
        with pytest.raises(FileProblem, match="nothing of it was run"):
            open_pickled(path)
    assert not canary.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_a_bare_pickle_is_refused_and_never_runs(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "x.pt").write_bytes(pickle.dumps({"a": Harmful(canary)}, protocol))
    with pytest.raises(FileProblem):
        open_pickled(tmp_path / "x.pt")
    assert not canary.exists()


def test_opcodes_that_no_weight_file_needs_end_the_reading() -> None:
    for opcode in (
        b"i",
        b"o",
        b"\x82",
        b"\x83",
        b"\x84",
        b"P",
        b"\x92",
        b"\x97",
    ):  # INST, OBJ, EXT…, PERSID, NEWOBJ_EX
        with pytest.raises(BadPickle, match="opcode"):
            Unpickling(b"\x80\x02(" + opcode + b"os\nsystem\n.").read()


def test_a_call_is_kept_as_data() -> None:
    reading = Unpickling(pickle.dumps(Harmful(Path("x")), 2))
    value = reading.read()
    assert isinstance(value, Call)
    assert str(value.function) == "posix.system"
    assert reading.names == {"posix.system"}


DEEP = b"\x80\x02" + b"]" * 100_000 + b"."
LAUGHS = b"\x80\x02)q\x00" + b"h\x00h\x00\x86q\x00" * 200 + b"."
KEYS = b"\x80\x02}" + b")q\x00" + b"h\x00h\x00\x86q\x00" * 200 + b"K\x01s."
NAMES = b"\x80\x04)q\x00" + b"h\x00h\x00\x86q\x00" * 200 + b"h\x00\x93."


@pytest.mark.parametrize("hostile", [DEEP, LAUGHS, KEYS, NAMES], ids=["deep", "laughs", "keys", "names"])
def test_a_pickle_that_grows_without_end_costs_nothing(hostile: bytes) -> None:
    started = time.process_time()
    with suppress(BadPickle):
        Unpickling(hostile).read()
    assert time.process_time() - started < 1


def rewritten(path: Path, change: Any) -> Path:
    """A zip file with its data.pkl passed through a change."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    name = next(name for name in files if name.endswith("data.pkl"))
    files[name] = change(files[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for key, content in files.items():
            archive.writestr(key, content)
    return path


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(7)})
    rewritten(path, lambda pickled: pickled.replace(b"K\x07\x85", b"K\x77\x85"))
    with pytest.raises(FileProblem, match="beyond its storage"):
        open_pickled(path)


def test_a_missing_storage_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(7)})
    rewritten(path, lambda pickled: pickled.replace(b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x009"))
    with pytest.raises(FileProblem, match="missing"):
        open_pickled(path)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"a": torch.zeros(7)})
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, content in files.items():
            archive.writestr(key, content)
    with pytest.raises(FileProblem, match="compressed"):
        open_pickled(path)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_a_file_cut_anywhere_is_an_error_and_nothing_else(new: bool, tmp_path: Path) -> None:
    whole = saved(tmp_path / "x.pt", {"a": torch.arange(300.0), "b": torch.ones(3)}, new).read_bytes()
    for end in range(2, len(whole) - 1, 97):
        (tmp_path / "cut.pt").write_bytes(whole[:end])
        with pytest.raises(FileProblem):
            open_pickled(tmp_path / "cut.pt")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_file_with_changed_bytes_gives_tensors_or_an_error(data: st.DataObject) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.arange(4.0), "b": {"c": torch.ones(2, 2).t()}}, buffer)
    with zipfile.ZipFile(buffer) as archive:
        pickled = bytearray(archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl"))))
    for _ in range(data.draw(st.integers(1, 4))):
        pickled[data.draw(st.integers(0, len(pickled) - 1))] = data.draw(st.integers(0, 255))
    reading = Unpickling(bytes(pickled))
    with suppress(BadPickle):
        assert kinds_in(reading.read()) <= DATA
        assert reading.position <= len(pickled)


DATA = {dict, list, tuple, set, str, bytes, bytearray, int, float, bool, type(None), Name, Call, Reference}


def kinds_in(value: Any) -> set[type]:
    """The types of everything in a value that was read, each part looked at once."""
    kinds: set[type] = set()
    pending, seen = [value], set()
    while pending:
        each = pending.pop()
        kinds.add(type(each))
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, dict):
            pending += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set):
            pending += each
        elif isinstance(each, Call):
            pending += [each.function, each.arguments, each.state, each.items]
        elif isinstance(each, Reference):
            pending.append(each.value)
    return kinds


def test_the_reader_knows_every_opcode_that_torch_writes(tmp_path: Path) -> None:
    for protocol in range(2, 6):
        path = tmp_path / f"{protocol}.pt"
        torch.save(
            {**STATE, "n": [1, -1, 2**40, 300, 70_000, "é" * 300, b"x", 1.5, (1, 2, 3, 4), {1, 2}]},
            path,
            pickle_protocol=protocol,
        )
        with zipfile.ZipFile(path) as archive:
            pickled = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
        used = {opcode.name for opcode, _, _ in pickletools.genops(pickled)}
        assert "BINPERSID" in used
        assert set(open_pickled(path)) == set(STATE)


def test_names_compare_by_their_parts() -> None:
    assert Name("a", "b") == Name("a", "b") != Name("a", "c")
