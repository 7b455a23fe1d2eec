"""What the replayed attacks share: canary files, raw forms and pictures, what foreign pages send."""

import struct
import zlib
from pathlib import Path

from server.settings import Settings
from tests.server.client import Client, RawAnswer

CANARY = b"CANARY-4f1c"
LOAD = {"class_type": "ToyLoad", "inputs": {"image": "a.png"}}
SHOW = {"class_type": "ToyShow", "inputs": {"value": ["1", 0]}}
NUMBER = {"class_type": "ToyNumber", "inputs": {"value": 1}}
GOOD = {"1": NUMBER, "2": SHOW}
JSON = {"Content-Type": "application/json"}
POSTS = [
    "/prompt", "/queue", "/interrupt", "/history", "/free", "/settings", "/settings/x", "/upload/image",
    "/upload/mask", "/userdata/x.json", "/userdata/x.json/move/y.json", "/api/jobs/x/cancel",
    "/nodeloom/lint",
    "/nodeloom/explain", "/nodeloom/login",
]  # fmt: skip


def data(settings: Settings) -> Path:
    return settings.folders.base


def plant_canaries(settings: Settings) -> None:
    """Files that must never be read: outside the data folder, outside each root, behind links."""
    base = data(settings)
    for folder in (base.parent, base, base / "user", base / "models", settings.state_dir):
        folder.mkdir(exist_ok=True)
        for name in ("canary", "canary.png", "canary.json", "canary.safetensors"):
            (folder / name).write_bytes(CANARY)
    (base / "secrets").mkdir()
    (base / "secrets" / "canary").write_bytes(CANARY)
    for root in ("input", "output", "temp", "user/default"):
        (base / root).mkdir(exist_ok=True)
        (base / root / "link").symlink_to(base / "secrets")
        (base / root / "link.png").symlink_to(base / "secrets" / "canary")
    (base / "output" / "real.png").write_bytes(b"png")


def assert_refused(answer: RawAnswer, where: object, *statuses: int) -> None:
    assert answer.status in (statuses or (400, 404)), (where, answer.status, answer.body[:200])
    assert CANARY not in answer.body, where


def form(parts: dict[str, tuple[str | None, bytes]]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a multipart form; a part is (filename or None, bytes)."""
    body = b""
    for name, (filename, content) in parts.items():
        also = f'; filename="{filename}"' if filename is not None else ""
        body += f'--edge\r\nContent-Disposition: form-data; name="{name}"{also}\r\n\r\n'.encode()
        body += content + b"\r\n"
    return {"Content-Type": "multipart/form-data; boundary=edge"}, body + b"--edge--\r\n"


async def upload(client: Client, path: str, filename: str, content: bytes = b"x", **fields: str) -> RawAnswer:
    parts: dict[str, tuple[str | None, bytes]] = {
        name: (None, text.encode()) for name, text in fields.items()
    }
    headers, body = form({**parts, "image": (filename, content)})
    return await client.request("POST", path, headers, body)


FOREIGN: list[dict[str, str | None]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1.evil.example:8188"},
    {"Origin": "file://"},
    {"Origin": ""},
    {"Origin": "chrome-extension://abc"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
]


UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes = b"", before: bytes = b"") -> bytes:
    """A PNG of grey pixels that claims a size, whatever rows it has."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture(width: int, height: int) -> bytes:
    return png(width, height, b"".join(b"\0" + bytes(width) for _ in range(height)))
