"""Followers of jobs are woken for their own job alone, and leave nothing behind."""

from execution.events import Place, Preview
from server.frames import Picture
from server.watching import Watchers


def picture(job: str, node: str, data: bytes) -> Picture:
    return Picture(job, Place(node, node, None, node, "KSampler"), Preview("png", data))


def test_each_is_woken_for_its_own_job() -> None:
    watchers, came_and_left = Watchers(), []
    watchers.changed = lambda: came_and_left.append(len(watchers))
    with watchers.watch("a") as first, watchers.watch("a") as second, watchers.watch("b") as third:
        watchers.wake("a")
        assert [each.changed.is_set() for each in (first, second, third)] == [True, True, False]
        watchers.wake_all()
        assert third.changed.is_set()
        assert watchers.looks("a")
        assert not watchers.looks("c")
        watchers.wake("c")
    assert not watchers.looks("a")
    assert came_and_left == [1, 2, 3, 2, 1, 0]


def test_of_a_nodes_pictures_the_newest_is_kept() -> None:
    watchers = Watchers()
    with watchers.watch("a") as watcher:
        for data in (b"1", b"2"):
            watchers.show(picture("a", "7", data))
        watchers.show(picture("a", "8", b"3"))
        watchers.show(picture("b", "7", b"4"))
        assert {node: each.preview.data for node, each in watcher.pictures.items()} == {"7": b"2", "8": b"3"}
        assert watcher.changed.is_set()


def test_who_reads_events_alone_looks_at_no_pictures() -> None:
    watchers = Watchers()
    with watchers.watch("a", sees=False) as reader:
        watchers.show(picture("a", "7", b"1"))
        assert not watchers.looks("a")
        assert not reader.pictures
        assert not reader.changed.is_set()
        watchers.wake("a")
        assert reader.changed.is_set()
