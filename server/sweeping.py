"""Sweeping up the files that a killed server or worker was writing."""

import asyncio
import logging
from pathlib import Path

from execution.files.partial import sweep
from server.parts import Parts

logger = logging.getLogger(__name__)
PACKS = "custom_nodes"
TRIES, PAUSE_SECONDS = 12, 1.0
"""A worker may outlive its killed server by some seconds, and hold what it writes till then."""


def places(here: Parts) -> set[Path]:
    """Where files are written: the roots, the state, and where models are put that are uploaded."""
    folders = here.folders
    models = {kind.paths[0] for name, kind in folders.kinds.items() if kind.paths and name != PACKS}
    return {*folders.roots.values(), here.settings.state_dir, *models}


async def sweep_up(here: Parts) -> None:
    """Remove what was left half written; look again for a while at what somebody still writes."""
    roots = places(here)
    for _ in range(TRIES):
        removed, in_use = await asyncio.to_thread(sweep, roots)
        if removed:
            logger.info("%d files that were half written when their process died are removed.", removed)
        if not in_use:
            return
        await asyncio.sleep(PAUSE_SECONDS)
