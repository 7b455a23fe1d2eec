"""Asking workers, beside a request, whether their node types offer other choices by now."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from execution.wire.messages import Loaded
from server import frames
from server.parts import Parts
from server.workers import NoAnswer

logger = logging.getLogger(__name__)
LEAST_SECONDS = 5.0
ASK_SECONDS = 60.0


def refresh_types(here: Parts) -> None:
    """Begin a refresh, unless one is under way or was a moment ago."""
    catalogue = here.catalogue
    if time.monotonic() - catalogue.refreshed < LEAST_SECONDS or here.crew.any() is None:
        return
    catalogue.refreshed = time.monotonic()
    here.background(ask_types(here))


async def ask_types(here: Parts) -> None:
    """Take the types as a worker has them now; pages are told if that is news."""
    try:
        specs = await here.crew.ask("specs", {}, ASK_SECONDS)
    except NoAnswer as error:
        logger.debug("No fresh node types: %s", error)
        return
    if await here.catalogue.replace(Loaded(specs, here.catalogue.failures, 0.0, here.catalogue.replacements)):
        here.hub.send(frames.specs(here.catalogue.failures))


async def ask_packs(here: Parts) -> None:
    """Take what a worker says of its packs: names, web folders, what failed."""
    try:
        packs = await here.crew.ask("packs", {}, ASK_SECONDS)
    except NoAnswer as error:
        logger.debug("Nothing is known of packs: %s", error)
        return
    for trouble in troubles(packs):
        logger.warning(trouble)
    if isinstance(packs, list):
        await here.catalogue.describe_packs([pack for pack in packs if isinstance(pack, dict)])


def troubles(packs: object) -> list[str]:
    """A line for each pack that failed, with the reasons, from the packs' reports."""
    reports = packs if isinstance(packs, list) else []
    failed = [each for each in reports if isinstance(each, dict) and each.get("state") == "failed"]
    return [f"Pack {each.get('name')} did not load: {reasons(each)}" for each in failed]


def reasons(report: Mapping[str, Any]) -> str:
    """What went wrong in a pack, with the line of its code."""
    return "; ".join(
        f"{each['reason']} ({each['file']}:{each['line']})" if each.get("file") else str(each["reason"])
        for each in report.get("problems", ())
    )
