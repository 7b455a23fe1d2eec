"""Who is let in: listening beyond loopback, hosts, origins, tokens, and what is printed about it."""

import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from server import app
from server.login import Logins, kept_token
from server.safety import Gate, place
from server.settings import Settings, is_loopback
from tests.server.client import started


def test_what_is_loopback() -> None:
    for address in ("127.0.0.1", "127.8.8.8", "::1", "localhost", "LocalHost"):
        assert is_loopback(address), address
    for address in ("0.0.0.0", "::", "", "192.168.0.1", "example.org", "localhost.evil.example", "1"):
        assert not is_loopback(address), address


def test_a_login_is_needed_beyond_loopback(settings: Settings) -> None:
    cases = [
        ({}, False), ({"listen": ("localhost",)}, False), ({"listen": ("127.0.0.1", "::1")}, False),
        ({"listen": ("0.0.0.0",)}, True), ({"listen": ("127.0.0.1", "192.168.1.2")}, True),
        ({"listen": ("0.0.0.0",), "insecure": True}, False), ({"token": "x"}, True),
        ({"listen": ("",)}, True), ({"listen": ("myhost",)}, True),
    ]  # fmt: skip
    for changes, needed in cases:
        assert replace(settings, **changes).needs_login is needed, changes  # type: ignore[arg-type]  # a table


def test_hosts_by_how_the_server_is_reached(settings: Settings) -> None:
    local = Gate(settings)
    wide = Gate(replace(settings, listen=("0.0.0.0", "::")))
    named = Gate(replace(settings, allowed_hosts=("Studio.example", "proxy:8443")))
    cases = [
        ("127.0.0.1:8188", True, True, True), ("localhost", True, True, True), ("[::1]:1", True, True, True),
        ("192.168.1.2:8188", False, True, False), ("[fe80::1]:8188", False, True, False),
        ("0.0.0.0:8188", False, False, False), ("evil.example", False, False, False),
        (f"{socket.gethostname()}:8188", False, True, False), ("studio.example:8188", False, False, True),
        ("proxy:8443", False, False, True), ("proxy:1", False, False, False), ("", False, False, False),
        ("127.0.0.1:port", False, False, False), ("a b", False, False, False),
        ("localhost/x", False, False, False),
    ]  # fmt: skip
    for host, *expected in cases:
        found = [gate.knows_host(host) for gate in (local, wide, named)]
        assert found == expected, host


def test_origins_are_our_own_or_configured(settings: Settings) -> None:
    gate = Gate(
        replace(settings, cors_origins=("https://app.example/", "null"), allowed_hosts=("studio.example",))
    )
    cases = {
        ("http://127.0.0.1:8188", "127.0.0.1:8188"): True,
        ("https://127.0.0.1", "127.0.0.1"): True,
        ("http://localhost", "localhost:80"): True,
        ("http://localhost:8188", "127.0.0.1:8188"): False,
        ("http://127.0.0.1:3000", "127.0.0.1:8188"): False,
        ("https://app.example", "127.0.0.1:8188"): True,
        ("http://app.example", "127.0.0.1:8188"): False,
        ("https://studio.example", "127.0.0.1:8188"): True,
        ("null", "127.0.0.1:8188"): True,
        ("", "127.0.0.1:8188"): False,
        ("ftp://127.0.0.1:8188", "127.0.0.1:8188"): False,
        ("http://127.0.0.1:8188@evil.example", "127.0.0.1:8188"): False,
        ("http://[::1", "127.0.0.1:8188"): False,
    }
    for (origin, host), trusted in cases.items():
        assert gate.trusted_origin(origin, host) is trusted, (origin, host)
    assert not Gate(settings).trusted_origin("null", "127.0.0.1:8188")


def test_a_place_is_a_name_and_a_port() -> None:
    found = place("[::1]:80")
    assert found is not None
    assert (found.name, found.port_for("https")) == ("::1", 80)
    bare = place("Name")
    assert bare is not None
    assert (bare.name, bare.port_for("https"), bare.port_for("gopher")) == ("name", 443, None)


def test_the_token_is_made_once_and_is_the_owners(tmp_path: Path) -> None:
    token = kept_token(tmp_path / "token")
    assert len(token) >= 40
    assert kept_token(tmp_path / "token") == token
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    (tmp_path / "token").write_text("\n")
    assert kept_token(tmp_path / "token") not in ("", token)


def test_cookies_are_of_one_token() -> None:
    logins = Logins("one")
    assert logins.new_cookie() != logins.new_cookie(), "each login is a session of its own"
    assert not logins.accepts("two")
    assert not logins.accepts("")
    assert not Logins(None).accepts("")
    assert not Logins(None).required


async def test_the_token_is_printed_with_an_address_that_logs_in(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [
        ({"listen": ("0.0.0.0",)}, "tok", ["Log in with this token: tok", f"http://{socket.gethostname()}:1/#token=tok"]),
        ({"listen": ("0.0.0.0",), "insecure": True}, None, ["WITHOUT a login", "http://"]),
        ({"listen": ("::1",)}, None, ["To see the GUI go to: http://[::1]:1/"]),
        ({"tls": (Path("c"), Path("k"))}, None, ["https://127.0.0.1:1/"]),
    ]  # fmt: skip
    for changes, token, expected in cases:
        app.announce(replace(settings, **changes), token, 1)  # type: ignore[arg-type]  # a table
        printed = capsys.readouterr().out
        assert all(text in printed for text in expected), printed
    opened: list[str] = []
    monkeypatch.setattr(app.webbrowser, "open", opened.append)
    app.announce(replace(settings, auto_launch=True), None, 7)
    assert opened == ["http://127.0.0.1:7/"]


async def test_listening_widely_needs_the_kept_token(settings: Settings) -> None:
    wide = replace(settings, listen=("0.0.0.0",))
    async with started(wide) as client:
        token = (settings.state_dir / "token").read_text()
        assert (await client.get("/queue"))[0] == 401
        assert (await client.get("/queue", headers={"Authorization": f"Bearer {token}"}))[0] == 200
    async with started(replace(wide, insecure=True)) as client:
        assert (await client.get("/queue"))[0] == 200
        assert (await client.post("/nodeloom/login", {"token": "x"}))[1] == {"ok": True}


def test_a_taken_port_is_said(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        busy = replace(settings, port=taken.getsockname()[1], cors_origins=("*",))
        assert app.run(busy) == 1
    assert "Cannot listen on 127.0.0.1" in caplog.text
    assert "name the origin" in caplog.text


def test_a_journal_has_one_server(settings: Settings) -> None:
    with app.journal_file(settings) as first, app.journal_file(settings) as second:
        assert (first.name, second.name) == ("journal.sqlite", f"journal-{settings.port}.sqlite")
        with pytest.raises(RuntimeError, match="Another server"), app.journal_file(settings):
            pass
