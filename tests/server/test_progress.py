"""How far a job is, from its events."""

from execution.events import Cached, Done, Place, Progress, Running, Started
from server.progress import Tally


def place(node: str, kind: str = "KSampler") -> Place:
    return Place(node, node, None, node, kind)


def test_nodes_and_steps_add_up() -> None:
    tally = Tally()
    assert tally.to_json()["value"] == 0.0
    seen = []
    for event in (
        Started(nodes=("1", "2", "3", "4"), targets=("4",)),
        Cached(nodes=("1",)),
        Running(place=place("2")),
        Progress(place=place("2"), value=5, maximum=10),
        Done(place=place("2"), ui=None, seconds=1.0),
        Running(place=place("3.0.0.1")),
        Done(place=place("3.0.0.1"), ui=None, seconds=1.0),
        Done(place=place("3"), ui=None, seconds=1.0),
        Done(place=place("4"), ui={}, seconds=1.0),
    ):
        tally.take(event)
        seen.append(tally.to_json()["value"])
    assert seen == [0.0, 0.25, 0.25, 0.375, 0.5, 0.5, 0.5, 0.75, 1.0]


def test_the_node_at_work_is_named_with_its_step() -> None:
    tally = Tally()
    tally.take(Started(nodes=("1",), targets=("1",)))
    tally.take(Progress(place=place("1"), value=3, maximum=20))
    told = tally.to_json()
    assert (told["nodes_done"], told["nodes_total"]) == (0, 1)
    assert (told["current_node"], told["current_node_class"]) == ("1", "KSampler")
    assert (told["step"], told["steps"], told["message"]) == (3, 20, "KSampler 3/20")
    tally.take(Progress(place=place("1"), value=30, maximum=20))
    assert tally.to_json()["value"] == 1.0, "a node that counts too far"
    tally.take(Progress(place=place("1"), value=1, maximum=0))
    assert tally.to_json()["value"] == 0.0, "a node that cannot count"
    tally.take(Done(place=place("1"), ui=None, seconds=1.0))
    assert tally.to_json()["current_node"] is None
