"""Compares what TensorBoard finds in runs with their metrics.csv: tensorboard-check.py TENSORBOARD FOLDER.

TENSORBOARD is the program, FOLDER holds the runs.
"""

import csv
import json
import logging
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

NAMES = {
    "loss": "loss/training",
    "validation_loss": "loss/validation",
    "learning_rate": "progress/learning_rate",
    "epoch": "progress/epoch",
}
EVERYTHING = {"scalars": 0, "images": 0}


def expected(run):
    """The curves that metrics.csv holds: a list of steps and values for each tag."""
    curves = {}
    for row in csv.DictReader((run / "metrics.csv").open()):
        for name, text in row.items():
            if name != "step" and text:
                points = curves.setdefault(NAMES.get(name, f"metric/{name}"), [])
                points.append((int(row["step"]), float(np.float32(text))))
    return curves


def same(what, found, wanted):
    """Fails unless two lists of steps and values are equal; NaN equals NaN."""
    # The server's JSON has what is no number as a text.
    found = [(int(step), float(value)) for step, value in found]
    if not np.array_equal(np.array(found), np.array(wanted), equal_nan=True):
        sys.exit(f"{what}: TensorBoard has {found[:8]}… ({len(found)}), metrics.csv {wanted[:8]}… ({len(wanted)})")
    return len(found)


def read(run):
    """Compares what TensorBoard's own reader finds; the number of values."""
    events = EventAccumulator(str(run), size_guidance=EVERYTHING)
    events.Reload()
    curves = expected(run)
    speed = "progress/samples_per_second"
    if (missing := {*curves, speed} ^ {*events.Tags()["scalars"]}):
        sys.exit(f"{run}: {missing} are not in both")
    if not all(point.value > 0 for point in events.Scalars(speed)):
        sys.exit(f"{run}: a speed is not above 0")
    values = [same(f"{run}, {tag}", [(e.step, e.value) for e in events.Scalars(tag)], curves[tag]) for tag in curves]
    frames = sorted(int(path.stem) for path in run.glob("frames/*.png") if int(path.stem) > 0)
    shown = [image for tag in events.Tags()["images"] for image in events.Images(tag)]
    if len(shown) != len(frames):
        sys.exit(f"{run}: {len(shown)} pictures, not {len(frames)}")
    for frame, image in zip(frames, shown):
        if (run / f"frames/{frame:012}.png").read_bytes() != image.encoded_image_string:
            sys.exit(f"{run}: the picture of step {image.step} is not that of epoch {frame}")
    return sum(values), len(shown)


def answer(address, path, **query):
    with urllib.request.urlopen(f"{address}/data/{path}?{urllib.parse.urlencode(query)}", timeout=10) as reply:
        return json.load(reply)


def ask(tensorboard, folder, runs):
    """Compares what the server gives to browsers; the number of values."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [tensorboard, "--logdir", folder, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--samples_per_plugin", "scalars=100000,images=100"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        tags, end = {}, time.monotonic() + 120
        # It loads runs while it already answers.
        while set(tags) != {run.name for run in runs} or set(tags) != set(settled(address)):
            if server.poll() is not None or time.monotonic() > end:
                sys.exit(f"tensorboard does not show the runs: {tags.keys()}")
            time.sleep(0.5)
            try:
                tags = answer(address, "plugin/scalars/tags")
            except (urllib.error.URLError, ConnectionError):
                pass
        values = 0
        for run in runs:
            for tag, wanted in expected(run).items():
                points = answer(address, "plugin/scalars/scalars", run=run.name, tag=tag)
                values += same(f"{run}, {tag}, server", [point[1:] for point in points], wanted)
        pictures = answer(address, "plugin/images/tags")
        shown = [tag for run in pictures.values() for tag in run]
        if shown != ["picture"]:
            sys.exit(f"the server has the pictures {pictures}")
        return values
    finally:
        server.terminate()
        server.wait()


def settled(address):
    """The runs of which the server has something."""
    try:
        time.sleep(1)
        return answer(address, "plugin/scalars/tags")
    except (urllib.error.URLError, ConnectionError):
        return {}


def main():
    logging.disable(logging.WARNING)
    tensorboard, folder = sys.argv[1:]
    runs = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    for run in runs:
        values, pictures = read(run)
        files = len(list(run.glob("events.out.tfevents.*")))
        print(f"{run.name:<10} {files} event files, {values} values as in metrics.csv, {pictures} pictures as in frames")
    print(f"the server of tensorboard gives the same {ask(tensorboard, folder, runs)} values")


main()
