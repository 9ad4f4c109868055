"""A small real film for the sandbox: moving stripes, made of nothing but arithmetic.

H.264 baseline with every macroblock stored as it is (I_PCM: ITU-T H.264, 7.3.5), in an MP4 file
(ISO/IEC 14496-12), so that every player shows it and nobody takes it for a model's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

__all__ = ["film"]

BLOCKS = 4
"""Macroblocks of 16 pixels along each side."""
SIDE = BLOCKS * 16
DARK, BRIGHT = 40, 210


def film(frames: int = 8, fps: int = 8) -> bytes:
    """An MP4 of 64 × 64 pixels with diagonal stripes that move."""
    samples = [_sample(number) for number in range(frames)]
    head = _box(b"ftyp", b"isom\0\0\x02\0isomiso2avc1mp41")
    moov = _moov(samples, fps, at=0)
    return head + _moov(samples, fps, at=len(head) + len(moov) + 8) + _box(b"mdat", b"".join(samples))


class _Bits:
    """A bit writer: fixed lengths and the unsigned Exp-Golomb code."""

    def __init__(self) -> None:
        self._bits = ""

    def fixed(self, value: int, width: int) -> _Bits:
        self._bits += format(value, f"0{width}b")
        return self

    def golomb(self, *values: int) -> _Bits:
        for value in values:
            code = format(value + 1, "b")
            self._bits += "0" * (len(code) - 1) + code
        return self

    def aligned(self, content: bytes = b"") -> _Bits:
        self._bits += "0" * (-len(self._bits) % 8)
        self._bits += "".join(format(byte, "08b") for byte in content)
        return self

    def ended(self) -> bytes:
        """The bytes, with the stop bit and without a start code among them."""
        bits = self._bits + "1"
        bits += "0" * (-len(bits) % 8)
        raw = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        return _without_start_codes(raw)


def _without_start_codes(raw: bytes) -> bytes:
    out, zeros = bytearray(), 0
    for byte in raw:
        if zeros == 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _sequence() -> bytes:
    head = bytes((0x67, 66, 0xC0, 10))  # baseline, level 1
    bits = _Bits().golomb(0, 0, 2, 0).fixed(0, 1).golomb(BLOCKS - 1, BLOCKS - 1)
    return head + bits.fixed(1, 1).fixed(1, 1).fixed(0, 2).ended()


def _picture_set() -> bytes:
    bits = _Bits().golomb(0, 0).fixed(0, 2).golomb(0, 0, 0).fixed(0, 3).golomb(0, 0, 0)
    return b"\x68" + bits.fixed(1, 1).fixed(0, 2).ended()


def _sample(number: int) -> bytes:
    """One frame as an IDR slice, with its length in front."""
    bits = _Bits().golomb(0, 7, 0).fixed(0, 4).golomb(number % 2).fixed(0, 2).golomb(0, 1)
    for block in range(BLOCKS * BLOCKS):
        bits.golomb(25).aligned(_block(block, number))
    unit = b"\x65" + bits.ended()
    return struct.pack(">I", len(unit)) + unit


def _block(block: int, number: int) -> bytes:
    left, top = block % BLOCKS * 16, block // BLOCKS * 16
    luma = (
        BRIGHT if (left + x + top + y + 4 * number) // 16 % 2 else DARK for y in range(16) for x in range(16)
    )
    return bytes(luma) + bytes((90,)) * 64 + bytes((150,)) * 64


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, *content: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *content)


_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def _moov(samples: list[bytes], fps: int, at: int) -> bytes:
    """The index; `at` is the place of the first frame in the file."""
    length = len(samples)
    movie = struct.pack(">4I", 0, 0, fps, length) + struct.pack(">IH", 0x10000, 0x100) + bytes(10)
    track = struct.pack(">5I", 0, 0, 1, 0, length) + bytes(16) + _MATRIX
    sides = struct.pack(">2I", SIDE << 16, SIDE << 16)
    media = struct.pack(">4IHH", 0, 0, fps, length, 0x55C4, 0)
    handler = struct.pack(">I4s", 0, b"vide") + bytes(12) + b"plugmux sandbox\0"
    reference = _box(b"dinf", _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1)))
    info = _box(b"minf", _full(b"vmhd", bytes(8), flags=1), reference, _table(samples, at))
    mdia = _box(b"mdia", _full(b"mdhd", media), _full(b"hdlr", handler), info)
    trak = _box(b"trak", _full(b"tkhd", track, sides, flags=3), mdia)
    end = _MATRIX + bytes(24) + struct.pack(">I", 2)
    return _box(b"moov", _full(b"mvhd", movie, end), trak)


def _table(samples: list[bytes], at: int) -> bytes:
    count = struct.pack(">I", len(samples))
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _description()),
        _full(b"stts", struct.pack(">3I", 1, len(samples), 1)),
        _full(b"stsc", struct.pack(">4I", 1, 1, len(samples), 1)),
        _full(b"stsz", struct.pack(">I", 0), count, _numbers(map(len, samples))),
        _full(b"stco", struct.pack(">2I", 1, at)),
    )


def _description() -> bytes:
    sequence, picture = _sequence(), _picture_set()
    config = bytes((1, 66, 0xC0, 10, 0xFF, 0xE1)) + struct.pack(">H", len(sequence)) + sequence
    config += b"\x01" + struct.pack(">H", len(picture)) + picture
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">2H", SIDE, SIDE)
    entry += struct.pack(">3I", 0x480000, 0x480000, 0) + struct.pack(">H", 1) + bytes(32)
    return _box(b"avc1", entry + struct.pack(">Hh", 24, -1), _box(b"avcC", config))


def _numbers(values: Iterable[int]) -> bytes:
    return b"".join(struct.pack(">I", value) for value in values)
