"""The gate before every route: which host names, origins and sessions may pass.

The rules, in the order they are checked:

1. `Host` names this machine (loopback), a configured name, or, when served beyond loopback, an IP literal.
   Anything else is a rebound DNS name: 421.
2. A browser's `Origin` and `Sec-Fetch-Site` show the server's own page or a configured origin: else 403.
   A stranger's page may only link here (a top-level GET).
3. A session, where a login is needed: else 401.

Content types decide nothing here. Scripts send JSON as `text/plain`, as a form, or untyped; a page of another
site, which may send those unasked too, is known by rule 2: browsers put `Origin` on every POST across sites.
"""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

from server.settings import Settings, is_loopback

ALLOWED_HEADERS = "Content-Type, Authorization, If-Match, If-None-Match, Idempotency-Key"
"""What pages of configured origins may send."""
DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
PAGE_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "media-src 'self' blob: data:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Refused:
    """Why a request may not pass."""

    status: int
    kind: str
    message: str


@dataclass(frozen=True)
class Place:
    """Host and port, as a `Host` header or an origin names them."""

    name: str
    port: int | None

    def port_for(self, scheme: str) -> int | None:
        return self.port if self.port is not None else DEFAULT_PORTS.get(scheme)


def place(text: str) -> Place | None:
    """Parse `name`, `name:port` or `[v6]:port`; None when it is anything else."""
    if not text or any(character in text for character in "/\\@?# \t,%"):
        return None
    try:
        parts = urlsplit(f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return Place(name.lower(), port) if name else None


def is_literal(name: str) -> bool:
    """Whether `name` is an IP address, which no DNS answer can rebind."""
    try:
        return not ip_address(name).is_unspecified
    except ValueError:
        return False


class Gate:
    """Decides over a request by its headers alone."""

    def __init__(self, settings: Settings) -> None:
        self._local = settings.is_local
        own = () if self._local else (socket.gethostname(), f"{socket.gethostname()}.local")
        self._hosts = frozenset(host.lower() for host in (*settings.allowed_hosts, *own))
        self._bound = frozenset(settings.listen) - {"", "0.0.0.0", "::"}
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins) - {"*"}

    def refusal(self, request: web.Request) -> Refused | None:
        """Why `request` may not pass, or None."""
        return self._host_refusal(request) or self._origin_refusal(request)

    def _host_refusal(self, request: web.Request) -> Refused | None:
        hosts = request.headers.getall("Host", [])
        if len(hosts) == 1 and self.knows_host(hosts[0]):
            return None
        message = (
            "This server is not reached by that host name. Start it with --allowed-host NAME if it should be."
        )
        return Refused(421, "unknown_host", message)

    def knows_host(self, header: str) -> bool:
        """Whether a `Host` header names this server."""
        host = place(header)
        if host is None or host.name.endswith("."):
            return False
        if is_loopback(host.name) or host.name in self._bound:
            return True
        if host.name in self._hosts or header.lower() in self._hosts:
            return True
        return not self._local and is_literal(host.name)

    def trusted_origin(self, origin: str, host_header: str) -> bool:
        """Whether pages of `origin` may use the API: its own page, a configured origin, or a configured
        host's.
        """
        if origin.rstrip("/").lower() in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        there, here = place(parts.netloc), place(host_header)
        if parts.scheme not in ("http", "https") or there is None or here is None:
            return False
        if there.name in self._hosts or parts.netloc.lower() in self._hosts:
            return True
        return (there.name, there.port_for(parts.scheme)) == (here.name, here.port_for(parts.scheme))

    def _origin_refusal(self, request: web.Request) -> Refused | None:
        refused = Refused(
            403, "foreign_origin", "Pages of other sites may not use this server. See --enable-cors-header."
        )
        origin = request.headers.get("Origin")
        if origin is not None:
            return None if self.trusted_origin(origin, request.headers["Host"]) else refused
        site = request.headers.get("Sec-Fetch-Site", "none")
        if site in ("none", "same-origin") or is_link(request):
            return None
        return refused

    def cors_headers(self, request: web.Request) -> Mapping[str, str]:
        """Headers that let a configured origin read the answer. Never a wildcard, never with credentials."""
        origin = request.headers.get("Origin", "")
        if origin.rstrip("/").lower() not in self._origins:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET, POST, DELETE, PUT, PATCH, OPTIONS",
            "Access-Control-Allow-Headers": ALLOWED_HEADERS,
            "Access-Control-Expose-Headers": "ETag, Content-Disposition",
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Vary": "Origin",
        }


def is_link(request: web.Request) -> bool:
    """Whether somebody followed a link to here from another site."""
    navigates = request.headers.get("Sec-Fetch-Mode") == "navigate" and "Upgrade" not in request.headers
    return request.method == "GET" and navigates and request.headers.get("Sec-Fetch-Dest") == "document"


def protect(response: web.StreamResponse) -> None:
    """Headers that every answer carries, unless its route set its own."""
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Content-Security-Policy", DATA_POLICY)
