"""Compares networks with what other programs compute: exchange-check.py STEP FOLDER.

export   The folder holds NAME.onnx, NAME.input.npy and NAME.output.npy, where NAME is KIND.TYPE.NUMBER.
"""

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

# The most by which a number may be off; of numbers above 1 a share of them.
MOST = 1e-5


def off(found, expected):
    """The largest difference."""
    assert found.shape == expected.shape, f"{found.shape} where {expected.shape} is right"
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    return float(np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected)), initial=0))


class Table:
    """The largest differences of each kind."""

    def __init__(self, title):
        self.title, self.rows, self.failed = title, defaultdict(list), 0

    def add(self, kind, runtime, compare):
        try:
            self.rows[kind, runtime].append(compare())
        except Exception as error:  # onnxruntime has no narrower one
            print(f"{kind}, {runtime}: {error}", file=sys.stderr)
            self.rows[kind, runtime].append(float("inf"))

    def end(self):
        """Prints it; the number of kinds that are broken."""
        print(self.title)
        line = "{:28} {:18} {:>6} {:>10} {}"
        print(line.format("kind", "runtime", "models", "largest", ""))
        broken = 0
        for (kind, runtime), found in sorted(self.rows.items()):
            holds = max(found) <= MOST
            broken += not holds
            print(line.format(kind, runtime, len(found), f"{max(found):.1e}", "" if holds else "BROKEN").rstrip())
        return broken or not self.rows


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def runtime_of(model, inputs):
    """onnxruntime, or ONNX's own evaluator where that lacks an operator in f64; and its name."""
    try:
        runtime = session(model)
        runtime.run(None, inputs)
        return runtime, "onnxruntime"
    except (state.NotImplemented, state.RuntimeException):
        return onnx.reference.ReferenceEvaluator(model), "onnx.reference"


def export(folder):
    table = Table(f"our networks in onnxruntime {onnxruntime.__version__}, or onnx {onnx.__version__}")
    for path in sorted(folder.glob("*.onnx")):
        kind, dtype, _ = path.stem.split(".")
        x, y = (np.load(path.with_suffix(f".{end}.npy")) for end in ("input", "output"))
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        runtime, name = runtime_of(model, {"input": x})
        for rows in (slice(None), slice(1)):
            batch = x[rows]
            table.add(f"{kind} {dtype}", name, lambda: off(runtime.run(None, {"input": batch})[0], y[rows]))
    return table.end()


if __name__ == "__main__":
    step = {"export": export}[sys.argv[1]]
    sys.exit(1 if step(Path(sys.argv[2])) else 0)
