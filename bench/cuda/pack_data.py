"""Writes the part of bench/data that the check on a GPU needs into a folder: `pack_data.py FOLDER`.

The same bytes as bench/data, but for the images, of which a tenth is taken.
"""

import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import data

ROWS = 6400
WANTED = ("image-net", "small-net", "tiny", "mnist")


def shorten(name: str) -> None:
    """Leaves the first rows of an array of bytes."""
    path = data.DATA / f"{name}.npy"
    content = path.read_bytes()
    start = 10 + int.from_bytes(content[8:10], "little")
    shape = content[10:start].decode().split("(")[1].split(")")[0]
    rows, *rest = (int(n) for n in shape.split(",") if n.strip())
    size = (len(content) - start) // rows
    data.save(name, (ROWS, *rest), data.array("B", content[start : start + ROWS * size]))


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        data.DATA = Path(temporary)
        for job in (data.image_net, data.small_net, data.tiny):
            job(random.Random(job.__name__))
        for name in ("images", "labels"):
            shorten(f"mnist/{name}")
        for name in WANTED:
            (data.DATA / name).replace(folder / name)


if __name__ == "__main__":
    main()
