"""Whose files a request means: one user's, or, with --multi-user, those of the user that its header names."""

import json
import re
import threading
import uuid

from aiohttp import web

from execution.files.folders import Folders, atomic_write
from server.answers import refusal
from server.names import is_plain
from server.userfiles import DEFAULT_USER, UserFiles

HEADER = "comfy-user"
"""The header by which ComfyUI's clients say who they are."""
SEVERAL = "nodeloom-users"
"""The header of the settings by which the editor learns that it has to ask who works."""
MOST_USERS = 1_000
MOST_NAME = 100


class Users:
    """The users, kept as `{id: name}` in `users.json` beside their folders. To name one is no login."""

    def __init__(self, folders: Folders, several: bool = False) -> None:
        self.several = several
        self._folders = folders
        self._files = {DEFAULT_USER: UserFiles(folders)}
        self._lock = threading.Lock()

    def files(self, request: web.Request) -> UserFiles:
        """The files a request means; without a header the default user's. 401 for a user there is not."""
        given = request.headers.get(HEADER) or DEFAULT_USER
        if not self.several or given == DEFAULT_USER:
            return self._files[DEFAULT_USER]
        with self._lock:
            if given not in self._files:
                user = self._id(given)
                self._files[given] = self._files.setdefault(user, UserFiles(self._folders, user))
            return self._files[given]

    def _id(self, given: str) -> str:
        """The id of the user of this id or name."""
        names = self.names()
        found = (
            given if given in names else next((user for user, name in names.items() if name == given), None)
        )
        if found is None:
            message = f"There is no user of this id or name; take one of GET /users as the header {HEADER}."
            raise refusal(401, "unknown_user", message)
        return found

    def names(self) -> dict[str, str]:
        """The users' names by id."""
        try:
            known = json.loads((self._folders.user / "users.json").read_bytes())
        except FileNotFoundError:
            known = {}
        except (OSError, ValueError, RecursionError) as error:
            message = f"{self._folders.user / 'users.json'} cannot be read; mend it or move it away."
            raise refusal(507, "users_unreadable", message, str(error)[:200]) from error
        users = known if isinstance(known, dict) else {}
        return {str(user): str(name) for user, name in users.items() if is_safe(str(user))}

    def add(self, name: object) -> str:
        """A new user's id. 400 for a name that will not do or is taken."""
        if not isinstance(name, str) or not 0 < len(name.strip()) <= MOST_NAME or not is_plain(name):
            message = f"username must be a text of 1 to {MOST_NAME} printable characters."
            raise refusal(400, "invalid_username", message)
        name = name.strip()
        with self._lock:
            known = self.names()
            if name in (DEFAULT_USER, *known.values()):
                raise refusal(400, "duplicate_username", "Duplicate username.")
            if len(known) >= MOST_USERS:
                raise refusal(507, "too_many_users", f"There are {MOST_USERS} users, which is all it takes.")
            user = f"{re.sub('[^a-zA-Z0-9_-]+', '-', name)}_{uuid.uuid4()}"
            with atomic_write(self._folders.user / "users.json") as file:
                file.write(json.dumps({**known, user: name}).encode())
        return user


def is_safe(user: str) -> bool:
    """Whether an id can be a folder's name."""
    return re.fullmatch(r"[a-zA-Z0-9_-]{1,200}", user) is not None and user != DEFAULT_USER
