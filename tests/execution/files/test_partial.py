"""Files on their way: locked while they are written, swept up once nobody writes them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from execution.files.partial import NAME, claimed, sweep
from execution.files.saving import atomic_write

WRITER = """
import sys
from pathlib import Path
from execution.files.saving import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""
OTHERS = (
    "model.safetensors.part",
    ".part",
    ".abc.part",
    ".ABCDEFGH.part",
    "abcdefgh.part",
    ".abcdefgh.part.png",
)


def test_what_somebody_writes_is_kept_and_what_a_kill_left_is_not(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.png"
    command = [sys.executable, "-c", WRITER, str(target)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        (partial,) = (tmp_path / "deep").iterdir()
        assert NAME.fullmatch(partial.name)
        assert sweep([tmp_path]) == (0, 1)
        assert partial.read_bytes() == b"half"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert partial.exists()
        assert sweep([tmp_path]) == (1, 0)
        assert list((tmp_path / "deep").iterdir()) == []
    finally:
        writer.kill()
        writer.communicate()


def test_a_sweep_within_the_writing_process_spares_it_too(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a") as file:
        file.write(b"whole")
        assert sweep([tmp_path]) == (0, 1)
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert sweep([tmp_path, tmp_path / "absent"]) == (0, 0)


def test_other_files_are_nobodys_business(tmp_path: Path) -> None:
    for name in OTHERS:
        (tmp_path / name).write_bytes(b"download")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x").write_bytes(b"x")
    root = tmp_path / "root"
    root.mkdir()
    (root / "folder").symlink_to(elsewhere)
    (root / ".abcdefgh.part").symlink_to(elsewhere / "x")
    (elsewhere / ".abcdefgh.part").write_bytes(b"x")
    assert sweep([root]) == (0, 1)
    assert (elsewhere / ".abcdefgh.part").exists()
    (elsewhere / ".abcdefgh.part").unlink()
    assert sweep([tmp_path])[0] == 0
    assert {path.name for path in tmp_path.iterdir()} >= set(OTHERS)


def test_a_claim_survives_a_sweep_that_comes_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from execution.files import partial

    swept: list[str] = []
    lock = partial.fcntl.flock

    def meanwhile(descriptor: int, how: int) -> None:
        if not swept:
            swept.extend(os.listdir(tmp_path))
            (tmp_path / swept[0]).unlink()
        lock(descriptor, how)

    monkeypatch.setattr(partial.fcntl, "flock", meanwhile)
    file, path = claimed(tmp_path)
    with file:
        assert path.name != swept[0]
        assert path.exists()
