"""LLaMA 2's sentencepiece model, which may not be given away, put together for tests from a vocabulary.

The vocabulary is that of the npm package `llama-tokenizer-js` (MIT), a development dependency. A model of
byte pairs is its pieces in order with falling scores; runs of blanks are joined last. The file is written in
protocol buffers' wire format by the field numbers of sentencepiece_model.proto.
"""

import base64
import re
import struct
from functools import cache
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "node_modules" / "llama-tokenizer-js" / "llama-tokenizer.js"
BLANK, LAST = "▁", -1e9
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
FIRST = 259  # the first piece behind the unknown one, two marks and 256 bytes
BPE = 2


@cache
def pieces() -> list[str]:
    """The 32,000 pieces in the order of their numbers. FileNotFoundError without the package."""
    found = re.search(r'llama_vocab_base64 = "([^"]+)"', SCRIPT.read_text())
    assert found is not None, "the package keeps its vocabulary otherwise"
    return base64.b64decode(found[1]).decode("utf-8").split("\n")


def model() -> bytes:
    """The file."""
    listed = b"".join(_field(1, _piece(number, piece)) for number, piece in enumerate(pieces()))
    trainer = _number(3, BPE) + _number(4, len(pieces())) + _number(35, 1)
    trainer += _number(40, 0) + _number(41, 1) + _number(42, 2) + _number(43, -1)
    normalizer = _field(1, b"identity") + _number(3, 1) + _number(4, 0) + _number(5, 1)
    return listed + _field(2, trainer) + _field(3, normalizer)


def _piece(number: int, piece: str) -> bytes:
    kind = {0: UNKNOWN, 1: CONTROL, 2: CONTROL}.get(number, BYTE if number < FIRST else NORMAL)
    blanks = set(piece) == {BLANK} and len(piece) > 1
    score = 0.0 if number < FIRST else LAST if blanks else float(FIRST - number)
    return _field(1, piece.encode("utf-8")) + b"\x15" + struct.pack("<f", score) + _number(3, kind)


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (2**64 - 1))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
