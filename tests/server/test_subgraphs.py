"""Subgraphs that packs and installations publish."""

from pathlib import Path

from server.subgraphs import MOST_BYTES, published


def test_packs_publish_subgraphs(tmp_path: Path) -> None:
    (tmp_path / "pack" / "subgraphs").mkdir(parents=True)
    (tmp_path / "pack" / "subgraphs" / "A.json").write_text("{}")
    ((first, each),) = published(tmp_path, {"mine": tmp_path / "pack"}).items()
    assert each.to_json() == {
        "source": "custom_node",
        "name": "A",
        "info": {"node_pack": "custom_nodes.mine"},
    }
    (tmp_path / "pack").rename(tmp_path / "moved")
    assert list(published(tmp_path, {"mine": tmp_path / "moved"})) == [first], "ids do not hang on folders"


def test_links_out_and_large_files_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "blueprints"
    folder.mkdir()
    (folder / "link.json").symlink_to("/etc/passwd")
    with (folder / "large.json").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    (folder / "folder.json").mkdir()
    assert published(tmp_path, {}) == {}
