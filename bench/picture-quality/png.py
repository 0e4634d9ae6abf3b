"""8-bit grey PNG files, read and written with nothing but the standard library."""

import struct
import zlib
from pathlib import Path

import numpy as np


def read(path: Path) -> np.ndarray:
    """The levels, [height, width]."""
    data, at, pixels = path.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert (depth, colour, interlaced) == (8, 0, 0), f"{path} is no plain 8-bit grey picture"
        elif kind == b"IDAT":
            pixels += body
        at += 12 + length
    rows = np.frombuffer(zlib.decompress(pixels), np.uint8).reshape(height, width + 1)
    levels = np.zeros((height, width), np.uint8)
    for y in range(height):
        levels[y] = unfiltered(rows[y, 0], rows[y, 1:], levels[y - 1] if y else np.zeros(width, np.uint8))
    return levels


def unfiltered(kind: int, row: np.ndarray, above: np.ndarray) -> list[int]:
    """A row from the differences that stand in the file."""
    out, left, corner = [], 0, 0
    for x, up in zip(row.tolist(), above.tolist()):
        guess = left + up - corner
        nearest = min((left, up, corner), key=lambda c: abs(guess - c))
        left = (x + (0, left, up, (left + up) // 2, nearest)[kind]) % 256
        corner = up
        out.append(left)
    return out


def write(path: Path, levels: np.ndarray) -> None:
    height, width = levels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), levels], axis=1).tobytes()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
