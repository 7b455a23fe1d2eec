"""--quick-test-for-ci: start as always, load everything, say what did not load, and stop."""

import logging

from server.parts import Parts
from server.refreshing import troubles
from server.workers import NoAnswer

logger = logging.getLogger(__name__)
PACKS_SECONDS = 60.0


async def rehearse(here: Parts) -> int:
    """Wait until a worker has loaded all node types; 0, or, with the reasons logged, 1 when one failed."""
    await here.crew.tried.wait()
    reasons = [f"The worker does not start: {why}" for why in here.crew.problems.values()]
    if not reasons:
        try:
            reasons = troubles(await here.crew.ask("packs", {}, PACKS_SECONDS))
        except NoAnswer as error:
            reasons = [f"The worker does not say which packs there are: {error}"]
    for reason in reasons:
        logger.error(reason)
    print(
        f"{len(here.catalogue.specs)} node types are loaded; {len(reasons)} packs or workers did not load.",
        flush=True,
    )
    return 1 if reasons else 0
