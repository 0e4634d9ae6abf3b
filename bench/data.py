#!/usr/bin/env python3
"""Writes what all frameworks share: data and initial weights, as .npy files under bench/data/.

Needs nothing but Python itself. MNIST and the text come from $IRONLEARN_DATA (default ../shared/data beside the
repository). Run it once; `bench/run.sh` does.
"""

import gzip
import math
import os
import random
import struct
from array import array
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA = HERE / "data"
SOURCE = Path(os.environ.get("IRONLEARN_DATA", HERE.parent.parent / "shared" / "data"))
CODES = {"f": "<f4", "d": "<f8", "B": "|u1"}

IMAGE_NET = [2, 256, 256, 128, 1]
WIDTH, BLOCKS, CONTEXT, VOCABULARY = 128, 4, 64, 65


def save(name: str, shape: tuple[int, ...], values: array) -> None:
    """One array in NumPy's format."""
    assert len(values) == math.prod(shape), name
    header = f"{{'descr': '{CODES[values.typecode]}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    path = DATA / f"{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes())


def uniform(rng: random.Random, n: int, bound: float) -> array:
    return array("f", (rng.uniform(-bound, bound) for _ in range(n)))


def constant(name: str, n: int, value: float) -> None:
    save(name, (n,), array("f", [value]) * n)


def linear(rng: random.Random, name: str, inputs: int, outputs: int) -> None:
    """Weights [inputs, outputs], uniform after Glorot, and a bias of zeros."""
    bound = math.sqrt(6 / (inputs + outputs))
    save(f"{name}.weight", (inputs, outputs), uniform(rng, inputs * outputs, bound))
    constant(f"{name}.bias", outputs, 0.0)


def conv(rng: random.Random, name: str, inputs: int, outputs: int) -> None:
    """Kernel [outputs, inputs, 3, 3], uniform after He, and a bias of zeros."""
    bound = math.sqrt(6 / (inputs * 9))
    save(f"{name}.weight", (outputs, inputs, 3, 3), uniform(rng, outputs * inputs * 9, bound))
    constant(f"{name}.bias", outputs, 0.0)


def norm(name: str) -> None:
    constant(f"{name}.weight", WIDTH, 1.0)
    constant(f"{name}.bias", WIDTH, 0.0)


def image_net(rng: random.Random) -> None:
    """A picture of 200 x 200 points: coordinates in [-1, 1], a smooth pattern in [0, 1]."""
    grid = [(-1 + i / 99.5, -1 + j / 99.5) for i in range(200) for j in range(200)]
    pattern = (0.5 + 0.5 * math.sin(5 * a + 2 * b) * math.cos(4 * b - a * a) for a, b in grid)
    save("image-net/x", (40_000, 2), array("f", (c for point in grid for c in point)))
    save("image-net/y", (40_000, 1), array("f", pattern))
    for i, (inputs, outputs) in enumerate(zip(IMAGE_NET, IMAGE_NET[1:])):
        linear(rng, f"image-net/l{i}", inputs, outputs)


def small_net(rng: random.Random) -> None:
    """MNIST as bytes. Pixel p stands for p/256 - 0.5."""
    images = gzip.decompress((SOURCE / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((SOURCE / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    save("mnist/images", (60_000, 784), array("B", images))
    save("mnist/labels", (60_000,), array("B", labels))
    save("serve/x", (1024, 784), array("f", (p / 256 - 0.5 for p in images[: 1024 * 784])))
    linear(rng, "small-net/hidden", 784, 128)
    linear(rng, "small-net/out", 128, 10)


def tiny(rng: random.Random) -> None:
    save("tiny/x", (4, 2), array("f", [0, 0, 0, 1, 1, 0, 1, 1]))
    save("tiny/y", (4, 1), array("f", [0, 1, 1, 0]))
    linear(rng, "tiny/hidden", 2, 4)
    linear(rng, "tiny/out", 4, 1)


def char_lm(rng: random.Random) -> None:
    """The text as numbers of its characters, in the order of their codes."""
    text = (SOURCE / "text" / "tinyshakespeare.txt").read_text()
    number = {c: i for i, c in enumerate(sorted(set(text)))}
    assert len(number) == VOCABULARY
    save("char-lm/text", (len(text),), array("B", (number[c] for c in text)))
    save("char-lm/token.weight", (VOCABULARY, WIDTH), uniform(rng, VOCABULARY * WIDTH, 0.05))
    save("char-lm/place.weight", (CONTEXT, WIDTH), uniform(rng, CONTEXT * WIDTH, 0.05))
    for i in range(BLOCKS):
        block = f"char-lm/block{i}"
        norm(f"{block}.norm0")
        for part in ("query", "key", "value", "out"):
            linear(rng, f"{block}.attention.{part}", WIDTH, WIDTH)
        norm(f"{block}.norm1")
        linear(rng, f"{block}.up", WIDTH, 4 * WIDTH)
        linear(rng, f"{block}.down", 4 * WIDTH, WIDTH)
    norm("char-lm/norm")
    linear(rng, "char-lm/out", WIDTH, VOCABULARY)


def cnn(rng: random.Random) -> None:
    """The first 6,400 images of MNIST. A little noise between the grey levels leaves no equal neighbours, of which
    each framework's pooling would pick another one."""
    images = gzip.decompress((SOURCE / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:][: 6400 * 784]
    save("cnn/x", (6400, 1, 28, 28), array("f", ((p + rng.random()) / 256 - 0.5 for p in images)))
    conv(rng, "cnn/conv0", 1, 16)
    conv(rng, "cnn/conv1", 16, 32)
    linear(rng, "cnn/out", 32 * 7 * 7, 10)


def logistic(rng: random.Random) -> None:
    """100,000 rows of 30 normal features; labels follow a noisy plane."""
    plane = [rng.gauss(0, 1) for _ in range(30)]
    x, y = array("d"), array("d")
    for _ in range(100_000):
        row = [rng.gauss(0, 1) for _ in range(30)]
        x.extend(row)
        y.append(float(sum(a * b for a, b in zip(row, plane)) + rng.gauss(0, 2) > 0))
    save("logistic/x", (100_000, 30), x)
    save("logistic/y", (100_000, 1), y)
    save("logistic/out.weight", (30, 1), array("f", [0.0] * 30))
    constant("logistic/out.bias", 1, 0.0)


def main() -> None:
    stamp, source = DATA / "written-by.txt", Path(__file__).read_text()
    if stamp.exists() and stamp.read_text() == source:
        return
    for job in (image_net, small_net, tiny, char_lm, cnn, logistic):
        job(random.Random(job.__name__))
    stamp.write_text(source)


if __name__ == "__main__":
    main()
