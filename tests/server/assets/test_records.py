"""The tables: lists in pages, cursors, counts of tags."""

from dataclasses import replace

import pytest
from aiohttp import web

from execution.files.folders import Folders
from server.assets.library import Assets
from server.assets.places import Place
from server.assets.records import Wanted, read_cursor, write_cursor


async def test_pages_go_on_where_the_last_one_ended(assets: Assets, folders: Folders) -> None:
    for index in range(7):
        (folders.input / f"{index}.png").write_bytes(b"x" * (index % 3))
        await assets.note(Place("input", f"{index}.png"))
    for sort in ("name", "size", "created_at", "updated_at"):
        for ascending in (True, False):
            wanted, names = Wanted(limit=3, sort=sort, ascending=ascending), []
            for _ in range(3):
                page, total, cursor = await assets.page(wanted)
                assert total == 7
                names += [asset.name for asset in page]
                wanted = replace(wanted, after=cursor)
            assert cursor is None
            assert sorted(names) == [f"{index}.png" for index in range(7)], sort


def test_a_cursor_belongs_to_its_order() -> None:
    assert read_cursor(write_cursor("name", "a.png", 7), "name") == ("a.png", 7)
    for text, sort in (
        (write_cursor("name", "a.png", 7), "size"), (write_cursor("size", "a.png", 7), "size"), ("", "name"),
        ("%%%", "name"), ("W10=", "name"), (write_cursor("name", "a", 7)[:-4], "name"),
    ):  # fmt: skip
        with pytest.raises(web.HTTPBadRequest):
            read_cursor(text, sort)


async def test_tags_are_counted_among_the_wanted(assets: Assets, folders: Folders) -> None:
    for index, tags in enumerate((("a", "b"), ("a",), ("ab",))):
        (folders.input / f"{index}.png").write_bytes(bytes([index]))
        asset = await assets.note(Place("input", f"{index}.png"))
        assert asset is not None
        await assets.describe(asset.id, {"tags": tags})
    assert await assets.count_tags(Wanted(), "a") == ([("a", 2), ("ab", 1)], 2)
    assert await assets.count_tags(Wanted(all_tags=("b",))) == ([("a", 1), ("b", 1), ("input", 1)], 3)
    assert await assets.count_tags(Wanted(), most=1, offset=1) == ([("a", 2)], 4)
