"""Packs say which node took the place of an old one."""

from typing import Any

from compat.v3.progress import apis
from compat.v3.schema import io_names


async def test_what_packs_say_is_told_to_their_own_program() -> None:
    told: list[dict[str, Any]] = []
    asynchronous, synchronous = apis(told)
    other, _ = apis([])
    replace = io_names()["NodeReplace"]
    await asynchronous().node_replacement.register(replace(new_node_id="New", old_node_id="Old"))
    mapping = [{"new_id": "a", "old_id": "b"}, {"new_id": "c", "set_value": 1}]
    synchronous().node_replacement.register(
        replace("New", "Older", old_widget_ids=("x",), input_mapping=mapping, output_mapping=[])
    )
    await other().node_replacement.register(replace(new_node_id="X", old_node_id="Y"))
    nothing = {"old_widget_ids": None, "input_mapping": None, "output_mapping": None}
    assert told == [
        {"new_node_id": "New", "old_node_id": "Old", **nothing},
        {
            "new_node_id": "New",
            "old_node_id": "Older",
            "old_widget_ids": ["x"],
            "input_mapping": mapping,
            "output_mapping": [],
        },
    ]
