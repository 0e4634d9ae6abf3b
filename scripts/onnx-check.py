"""Compares ONNX models with the codes that they have to give: onnx-check.py FOLDER.

The folder holds NAME.input.npy and NAME.output.npy, and the models NAME.integer.onnx and NAME.qdq.onnx, where NAME is
OPERATION.SCALES.NUMBER. Instead of a model that does not exist, NAME.qdq.txt says why.
"""

import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
SCALES = {"any": "any", "two": "powers of 2"}
# The share of codes that may be off by 1 where scales are no powers of two.
MOST = 1e-4


def quantization(model, end):
    """Scale and zero point of the codes at an end of the network."""
    texts = {entry.key: entry.value for entry in model.metadata_props}
    return np.float32(texts[f"ironlearn.{end}.scale"]), int(texts[f"ironlearn.{end}.zero_point"])


def answer(model, level, codes):
    """The codes that a model gives for codes; it may take and give floats."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.log_severity_level = 3
    # Without VNNI, products of codes with a sign and codes without one saturate in 16 bits unless this is asked for.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    end = session.get_inputs()[0]
    if end.type == "tensor(float)":
        scale, zero = quantization(model, "input")
        codes = (codes.astype(np.float32) - np.float32(zero)) * scale
    result = session.run(None, {end.name: codes})[0]
    if result.dtype == np.float32:
        scale, zero = quantization(model, "output")
        result = np.rint(result.astype(np.float64) / scale).astype(np.int64) + zero
    return result


class Row:
    """Figures of all networks of a kind."""

    def __init__(self):
        self.models = self.codes = self.differ = self.largest = self.failed = 0

    def add(self, found, expected):
        assert found.shape == expected.shape, f"{found.shape} where {expected.shape} is right"
        off = np.abs(found.astype(np.int64) - expected.astype(np.int64))
        self.models += 1
        self.codes += off.size
        self.differ += int((off > 0).sum())
        self.largest = max(self.largest, int(off.max(initial=0)))

    def holds(self, profile, operation, scales):
        """Whether this is what was promised."""
        if self.failed:
            return False
        # The exponentials of a softmax are no powers of two, whatever its scales are.
        if profile == "integer" or scales == "two" and operation != "softmax":
            return self.differ == 0
        # One code of a few is no rate, so one there may be.
        return self.largest <= 1 and self.differ <= max(1, MOST * self.codes)


def main(folder):
    rows, without = defaultdict(Row), Counter()
    for path in sorted(folder.glob("*.input.npy")):
        name = path.name.removesuffix(".input.npy")
        operation, scales, _ = name.split(".")
        codes, expected = np.load(path), np.load(folder / f"{name}.output.npy")
        for profile in ("integer", "qdq"):
            reason = folder / f"{name}.{profile}.txt"
            if reason.exists():
                text = reason.read_text().split("QDQ form: ")[1].split("\n")[0]
                without[operation, text.split(" reach")[0]] += 1
                continue
            model = onnx.load(folder / f"{name}.{profile}.onnx")
            onnx.checker.check_model(model, full_check=True)
            for level in LEVELS:
                row = rows[profile, operation, scales, level]
                try:
                    row.add(answer(model, level, codes), expected)
                except Exception as error:  # onnxruntime has no narrower one
                    print(f"{name}.{profile}, optimizations {level}: {error}", file=sys.stderr)
                    row.failed += 1
    print(f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}")
    line = "{:8} {:14} {:12} {:13} {:>7} {:>9} {:>8} {:>8} {:>7} {}"
    print(line.format("profile", "operation", "scales", "optimizations", "models", "codes", "differ", "largest", "failed", ""))
    broken = 0
    for (profile, operation, scales, level), row in sorted(rows.items()):
        holds = row.holds(profile, operation, scales)
        broken += not holds
        figures = (row.models, row.codes, row.differ, row.largest, row.failed, "" if holds else "BROKEN")
        print(line.format(profile, operation, SCALES[scales], level, *figures).rstrip())
    for (operation, reason), count in sorted(without.items()):
        print(f"no QDQ form: {count} of {operation}: {reason}")
    return 1 if broken or not rows else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
