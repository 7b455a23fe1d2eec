"""The mapping of model kinds that packs read and write."""

from pathlib import Path

import pytest

from compat.folder_table import FolderTable
from execution.files.folders import Folders


def test_what_a_pack_adds_is_listed_after_a_sync(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    table = FolderTable(folders)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "a.xyz").touch()
    table["own_kind"] = ([str(tmp_path / "own")], {".xyz"})
    table.sync()
    assert folders.list("own_kind") == ["a.xyz"]
    assert table.untouched("vae")
    assert not table.untouched("own_kind")


def test_a_path_that_is_taken_out_is_looked_into_no_more(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    (tmp_path / "models" / "vae").mkdir(parents=True)
    (tmp_path / "models" / "vae" / "a.safetensors").touch()
    table = FolderTable(folders)
    assert folders.list("vae") == ["a.safetensors"]
    table["vae"][0][:] = [str(tmp_path / "elsewhere")]
    table.sync()
    assert folders.list("vae") == []
    assert not table.untouched("vae")


def test_old_names_of_kinds_lead_to_the_same_row(tmp_path: Path) -> None:
    table = FolderTable(Folders(tmp_path))
    assert "unet" in table
    assert table["unet"] is table["diffusion_models"]
    with pytest.raises(KeyError):
        table["no such kind"]
