"""Who is asking: one login token for the server, sessions in signed cookies."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from aiohttp import web

COOKIE = "nodeloom_session"
SESSION_SECONDS = 30 * 24 * 3600


def kept_token(path: Path) -> str:
    """The token in `path`, made and written (readable by the owner only) when there is none yet."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        kept = path.read_text().strip()
        if kept:
            return kept
        path.unlink()
        return kept_token(path)
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(token)
    return token


class Logins:
    """Checks tokens and session cookies. Without a token everybody is the same local user."""

    def __init__(self, token: str | None) -> None:
        self.token = token

    @property
    def required(self) -> bool:
        return self.token is not None

    def accepts(self, token: str) -> bool:
        """Whether `token` is the login token, compared in constant time."""
        return self.token is not None and hmac.compare_digest(token.encode(), self.token.encode())

    def _signature(self, session: str) -> str:
        key = (self.token or "").encode()
        return hmac.new(key, f"session {session}".encode(), hashlib.sha256).hexdigest()

    def new_cookie(self) -> str:
        """The value of a cookie for a new session."""
        session = secrets.token_hex(16)
        return f"{session}.{self._signature(session)}"

    def session(self, request: web.Request) -> str | None:
        """The session of a request: "" for the local user, None for a stranger."""
        if not self.required:
            return ""
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self.accepts(token.strip()):
            return "token"
        session, _, signature = request.cookies.get(COOKIE, "").partition(".")
        if session and hmac.compare_digest(signature.encode(), self._signature(session).encode()):
            return session
        return None

    def log_in(self, response: web.Response, secure: bool) -> None:
        """Give the browser a session."""
        response.set_cookie(
            COOKIE,
            self.new_cookie(),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=secure,
            path="/",
        )
