"""The last lines that were logged, for the page's log panel."""

import logging
from collections import deque
from datetime import UTC, datetime
from typing import Any

MOST_LINES = 2_000
MOST_CHARACTERS = 4_000


class LastLines(logging.Handler):
    """Keeps what was logged last."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: deque[dict[str, str]] = deque(maxlen=MOST_LINES)
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line with its time."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat()
        self._entries.append({"t": at, "m": self.format(record)[:MOST_CHARACTERS] + "\n"})

    def entries(self) -> list[dict[str, str]]:
        """The lines, oldest first, in ComfyUI's shape."""
        return list(self._entries)

    def text(self) -> str:
        return "".join(f"{entry['t']} - {entry['m']}" for entry in self._entries)

    def raw(self) -> dict[str, Any]:
        """ComfyUI's /internal/logs/raw."""
        return {"entries": self.entries(), "size": {"cols": 120, "rows": 40}}
