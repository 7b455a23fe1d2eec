"""What a server is started with: plain data, made by the command line or by a test."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from execution.files.folders import Folders

MEGABYTE = 2**20


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches `address` (a literal or `localhost`)."""
    if address.lower() == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Limits:
    """Caps that are checked before work is done."""

    body: int = 32 * MEGABYTE
    """Bytes of a JSON body, after decompression."""
    upload: int = 200 * MEGABYTE
    """Bytes of an uploaded file."""
    depth: int = 128
    """Levels of nesting in a JSON document."""
    nodes: int = 20_000
    """Nodes of a prompt or workflow."""
    pending: int = 20_000
    """Prompts waiting in the queue."""
    history: int = 10_000
    """Finished prompts kept."""
    sockets: int = 1_024
    """Open WebSockets."""
    decoded: int = 576 * MEGABYTE
    """Bytes that the pictures of one request may take, decoded and on their way into another form."""


@dataclass(frozen=True)
class Settings:
    """Everything a server needs to know; see the command line for what each part is for."""

    folders: Folders
    """Roots of models, input, output, temp and user files."""
    state_dir: Path
    """Journal, cached node specs and login key. Never reachable over HTTP."""
    web_root: Path
    """The editor's files."""
    worker_command: tuple[str, ...]
    """Starts a worker; `--channel FD` is appended."""
    declared_by: tuple[Path, ...] = ()
    """Files and folders whose Python sources declare node types: they key the cached specs."""
    listen: tuple[str, ...] = ("127.0.0.1",)
    port: int = 8188
    insecure: bool = False
    """No login, even beyond loopback."""
    token: str | None = None
    """The login token, where the generated one is not wanted."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names the server is reached by, such as a proxy's."""
    cors_origins: tuple[str, ...] = ()
    """Further origins whose pages may use the API."""
    limits: Limits = field(default_factory=Limits)
    multi_user: bool = False
    """Whether each user has files and settings of their own."""
    glimpses_for_all: bool = False
    """Whether clients get pictures of what is being sampled without asking for them."""
    feature_flags: Mapping[str, Any] = field(default_factory=dict)
    """Further entries of `/features`, for pages that ask for them."""
    tls: tuple[Path, Path] | None = None
    """Certificate and key file."""
    version: str = "0"
    argv: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))
    auto_launch: bool = False
    quick_test: bool = False
    """Stop when everything is loaded; the exit code says whether it was."""
    verbose: str = "INFO"

    @property
    def spool(self) -> Path:
        """Where uploads lie until they are whole."""
        return self.state_dir / "uploads"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return all(map(is_loopback, self.listen))

    @property
    def needs_login(self) -> bool:
        return self.token is not None or not (self.is_local or self.insecure)
