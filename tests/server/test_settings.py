"""What counts as this machine."""

import pytest

from server.settings import is_loopback


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        *(("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("LocalHost", True)),
        *(
            ("0.0.0.0", False),
            ("::", False),
            ("192.168.0.2", False),
            ("localhost.evil.test", False),
            ("", False),
        ),
    ],
)
def test_only_this_machine_is_loopback(address: str, meant: bool) -> None:
    assert is_loopback(address) is meant
