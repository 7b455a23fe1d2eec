"""Prompts are converted and held against the specs before they become jobs."""

import pytest

from server.submission.checking import check
from server.submission.rejected import Rejected
from tests.server.client import Client
from tests.server.prompts import node, number, saved


async def test_a_sound_prompt_has_its_output_nodes_as_targets(client: Client) -> None:
    checked = await check(client.parts, {"prompt": number(1)})
    assert (checked.prompt, checked.targets, dict(checked.node_errors)) == (number(1), ("2",), {})
    assert checked.extra_pnginfo is None


async def test_wanted_nodes_are_the_targets(client: Client) -> None:
    checked = await check(client.parts, {"prompt": number(1), "partial_execution_targets": ["1"]})
    assert checked.targets == ("1",)


async def test_a_prompt_that_cannot_run_is_rejected_with_its_nodes(client: Client) -> None:
    unlinked = {"1": node("ToyShow")}
    with pytest.raises(Rejected) as refused:
        await check(client.parts, {"prompt": unlinked})
    assert list(refused.value.body["node_errors"]) == ["1"]
    with pytest.raises(Rejected) as refused:
        await check(client.parts, {"prompt": saved("../out")})
    assert refused.value.body["node_errors"]["2"]["errors"][0]["type"] == "custom_validation_failed"


async def test_a_prompt_beyond_the_limit_is_not_looked_into(client: Client) -> None:
    many: dict[str, dict[str, str]] = {str(index): {} for index in range(client.parts.limits.nodes + 1)}
    with pytest.raises(Rejected) as refused:
        await check(client.parts, {"prompt": many})
    assert refused.value.body["error"]["type"] == "prompt_too_large"
