"""The line between server and worker: messages over a stream socket, each with its length in front.

A frame is the number of bytes of its JSON and of its payload (two big-endian 32-bit numbers), then both.
`Channel` is the end for threads, `AsyncChannel` the end for an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from typing import Any

from execution.errors import ChannelClosed
from execution.wire.messages import Message, from_frame, to_frame

LENGTHS = struct.Struct(">II")


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets; the second can be inherited by a child process."""
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    return ours, theirs


def encode(message: Message) -> bytes:
    """The frame of a message. What JSON cannot hold (a value some node shows) travels as its text."""
    shape, payload = to_frame(message)
    text = json.dumps(shape, separators=(",", ":"), default=_as_text).encode()
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def _as_text(value: Any) -> Any:
    return list(value) if isinstance(value, set | frozenset) else str(value)


def decode(text: bytes, payload: bytes) -> Message:
    """The message of a frame's two parts."""
    return from_frame(json.loads(text), payload)


class Channel:
    """The end for threads: any number may send, one receives."""

    def __init__(self, line: socket.socket) -> None:
        """Take over a connected stream socket."""
        self._line = line
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send one message whole.

        Raises:
            ChannelClosed: the other end is gone.
        """
        frame = encode(message)
        with self._sending:
            try:
                self._line.sendall(frame)
            except OSError as error:
                raise ChannelClosed("the other end of the channel is gone") from error

    def receive(self) -> Message:
        """Wait for the next message.

        Raises:
            ChannelClosed: there will be none.
        """
        text_length, payload_length = LENGTHS.unpack(self._exactly(LENGTHS.size))
        text = self._exactly(text_length)
        return decode(text, self._exactly(payload_length))

    def _exactly(self, count: int) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            try:
                part = self._line.recv(min(count - len(parts), 1 << 20))
            except OSError as error:
                raise ChannelClosed("the channel was closed") from error
            if not part:
                raise ChannelClosed("the other end of the channel is gone")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close this end; a thread that waits in `receive` gets `ChannelClosed`."""
        with contextlib.suppress(OSError):  # the other end closed first
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()


class AsyncChannel:
    """The end for an event loop: any number of tasks may send, one receives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take over a connection; `open` makes one from a socket."""
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, line: socket.socket) -> AsyncChannel:
        """Take over a connected stream socket."""
        return cls(*await asyncio.open_connection(sock=line))

    async def send(self, message: Message) -> None:
        """Send one message whole; waits while the other end is slow.

        Raises:
            ChannelClosed: the other end is gone.
        """
        try:
            self._writer.write(encode(message))
            await self._writer.drain()
        except OSError as error:
            raise ChannelClosed("the other end of the channel is gone") from error

    async def receive(self) -> Message:
        """Wait for the next message.

        Raises:
            ChannelClosed: there will be none.
        """
        try:
            text_length, payload_length = LENGTHS.unpack(await self._reader.readexactly(LENGTHS.size))
            text = await self._reader.readexactly(text_length)
            return decode(text, await self._reader.readexactly(payload_length))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise ChannelClosed("the other end of the channel is gone") from error

    async def close(self) -> None:
        """Close this end."""
        self._writer.close()
        with contextlib.suppress(OSError):  # the other end closed first
            await self._writer.wait_closed()
