"""Compares networks with what other programs compute: exchange-check.py STEP FOLDER.

export   The folder holds NAME.onnx, NAME.input.npy and NAME.output.npy, where NAME is KIND.TYPE.NUMBER.
nodes    Writes the tests of operators of the ONNX project into the folder, each as model.onnx and test_data_set_0.
models   Writes models of PyTorch's and scikit-learn's exporters there, in the same form.
weights  The folder holds NAME.ours.safetensors, NAME.input.npy and NAME.ours.npy: PyTorch loads and computes them, and
         writes weights of its own, NAME.theirs.safetensors, with what it computes, NAME.theirs.npy.
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


def case(folder, name, model, inputs, outputs):
    """Writes a model with what goes in and comes out, as the ONNX project has its tests."""
    data = folder / name / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    if isinstance(model, onnx.ModelProto):
        onnx.save(model, folder / name / "model.onnx")
    for prefix, values in (("input", inputs), ("output", outputs)):
        for i, value in enumerate(values):
            tensor = value if isinstance(value, onnx.TensorProto) else onnx.numpy_helper.from_array(np.asarray(value))
            (data / f"{prefix}_{i}.pb").write_bytes(tensor.SerializeToString())


def nodes(folder):
    from onnx.backend.test.loader import load_model_tests

    np.seterr(all="ignore")

    tensors = lambda values: all(v.type.HasField("tensor_type") for v in values)
    count = others = 0
    for kind in ("node", "pytorch-converted", "pytorch-operator"):
        for test in load_model_tests(kind=kind):
            if test.model is None:
                model = onnx.load(Path(test.model_dir) / "model.onnx")
                sets = []
                for i in range(100):
                    data = Path(test.model_dir) / f"test_data_set_{i}"
                    if not data.exists():
                        break
                    read = lambda prefix: [
                        onnx.load_tensor(data / f"{prefix}_{j}.pb") for j in range(len(list(data.glob(f"{prefix}_*.pb"))))
                    ]
                    sets.append((read("input"), read("output")))
            else:
                model, sets = test.model, test.data_sets
            # Lists, maps and options of tensors are no values of networks.
            if not tensors(model.graph.input) or not tensors(model.graph.output):
                others += 1
                continue
            count += 1
            for inputs, outputs in sets[:1]:
                case(folder, test.name, model, inputs, outputs)
    print(f"{count} tests of onnx {onnx.__version__}; {others} with lists, maps or options left out")
    return 0


def models(folder):
    written = sklearn_models(folder)
    try:
        import torch
    except ImportError:
        print("SKIPPED: PyTorch cannot be installed, none of its models is imported")
    else:
        written += torch_models(folder, torch)
    print(f"{written} models of other exporters")
    return 0


def sklearn_models(folder):
    import skl2onnx
    import sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn import linear_model, neural_network, pipeline, preprocessing
    from sklearn.datasets import make_classification, make_regression

    x, y = make_regression(60, 5, n_targets=2, noise=0.1, random_state=1)
    x = x.astype(np.float32)
    y /= np.abs(y).max()
    classes = {
        n: make_classification(90, 5, n_informative=4, n_redundant=0, n_classes=n, random_state=2) for n in (2, 3)
    }
    scaled = lambda model: pipeline.make_pipeline(preprocessing.StandardScaler(), model)
    mlp = dict(hidden_layer_sizes=(8, 6), max_iter=60, random_state=0)
    cases = {
        "linear": (linear_model.LinearRegression(), x, y),
        "ridge": (scaled(linear_model.Ridge()), x, y[:, 0]),
        "min-max": (pipeline.make_pipeline(preprocessing.MinMaxScaler(), linear_model.Lasso(0.01)), x, y[:, 0]),
        "normalizer": (pipeline.make_pipeline(preprocessing.Normalizer(), linear_model.LinearRegression()), x, y),
        # With two targets skl2onnx writes a model that gives one column, in onnxruntime too.
        "mlp-regressor": (scaled(neural_network.MLPRegressor(activation="tanh", **mlp)), x, y[:, 0]),
    }
    for n, (a, b) in classes.items():
        a = a.astype(np.float32)
        cases[f"logistic-{n}"] = (scaled(linear_model.LogisticRegression()), a, b)
        cases[f"logistic-odd-labels-{n}"] = (linear_model.LogisticRegression(), a, 10 * b + 3)
        cases[f"mlp-classifier-{n}"] = (scaled(neural_network.MLPClassifier(**mlp)), a, b)
        cases[f"sgd-{n}"] = (linear_model.SGDClassifier(loss="log_loss", random_state=0), a, b)
    for name, (model, a, b) in cases.items():
        model.fit(a, b)
        zipmap = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else None
        form = skl2onnx.convert_sklearn(
            model, initial_types=[("x", FloatTensorType([None, a.shape[1]]))], options=zipmap, target_opset=18
        )
        # A boundary is no place to compare classes at.
        rows = a[:20]
        outputs = [model.predict(rows)]
        if hasattr(model, "predict_proba"):
            outputs.append(model.predict_proba(rows).astype(np.float32))
        else:
            outputs = [outputs[0].reshape(len(rows), -1).astype(np.float32)]
        case(folder, f"scikit-learn {name}", form, [rows], outputs)
    print(f"scikit-learn {sklearn.__version__}, skl2onnx {skl2onnx.__version__}")
    return len(cases)


def torch_models(folder, torch):
    import logging
    import warnings

    from torch import nn

    torch.manual_seed(0)
    block = lambda i, o: [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(*block(4, 4), nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))

        def forward(self, x):
            return torch.relu(x + self.inner(x))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(20, 16)
            self.position = nn.Parameter(torch.randn(1, 6, 16))
            self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
            self.out = nn.Linear(16, 5)

        def forward(self, x):
            return self.out(self.layer(self.embedding(x) + self.position).mean(1))

    class Recurrent(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.recurrent = kind(5, 7, batch_first=True, num_layers=2, bidirectional=True)
            self.out = nn.Linear(14, 3)

        def forward(self, x):
            return self.out(self.recurrent(x)[0][:, -1])

    class Functions(nn.Module):
        def forward(self, x):
            a, b = x.chunk(2, dim=1)
            a = nn.functional.elu(a) + nn.functional.silu(b) - nn.functional.hardswish(a * b)
            b = nn.functional.pad(b, (1, 2), mode="reflect")[:, :, 1:-2]
            y = torch.cat([a, b.clamp(-0.5, 0.5), torch.where(a > 0, a, b.exp())], 1)
            return y.permute(0, 2, 1).reshape(x.shape[0], -1).softmax(-1) * y.abs().sqrt().flatten(1).amax(1, keepdim=True)

    picture, rows = torch.randn(3, 2, 12, 10), torch.randn(5, 6)
    activations = [
        nn.ReLU(), nn.LeakyReLU(0.2), nn.ELU(), nn.SELU(), nn.CELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish(),
        nn.Tanh(), nn.Sigmoid(), nn.Softplus(), nn.Softsign(), nn.Hardsigmoid(), nn.Hardswish(), nn.PReLU(), nn.ReLU6(),
        nn.Softmax(-1), nn.LogSoftmax(-1), nn.Hardtanh(),
    ]
    cases = {
        f"{type(a).__name__}{i}": (nn.Sequential(nn.Linear(6, 9), a, nn.Linear(9, 4)), rows)
        for i, a in enumerate(activations)
    }
    cases |= {
        "MLP": (nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)), rows),
        "LayerNorm": (nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Linear(8, 2, bias=False)), rows),
        "RMSNorm": (nn.Sequential(nn.Linear(6, 8), nn.RMSNorm(8)), rows),
        "CNN": (
            nn.Sequential(*block(2, 8), nn.MaxPool2d(2), *block(8, 8), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 10)),
            picture,
        ),
        "ResNet": (nn.Sequential(*block(2, 4), Residual(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)), picture),
        "groups": (
            nn.Sequential(
                nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2),
                nn.GroupNorm(2, 4), nn.Hardtanh(), nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1),
                nn.InstanceNorm2d(3, affine=True), nn.AvgPool2d(3, 2, padding=1, ceil_mode=True),
            ),
            picture,
        ),
        "Conv1d": (nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.GELU(), nn.MaxPool1d(3, 2, padding=1)), picture[:, :, 0]),
        "GRU": (Recurrent(nn.GRU), torch.randn(2, 6, 5)),
        "LSTM": (Recurrent(nn.LSTM), torch.randn(2, 6, 5)),
        "RNN": (Recurrent(nn.RNN), torch.randn(2, 6, 5)),
        "Transformer": (Transformer(), torch.randint(0, 20, (2, 6))),
        "functions": (Functions(), torch.randn(2, 4, 6)),
    }
    logging.disable()
    written = 0
    for name, (model, x) in cases.items():
        model.eval()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
        with torch.no_grad():
            y = model(x).numpy()
        for dynamo in (False, True):
            kind = "dynamo" if dynamo else "script"
            at = folder / f"PyTorch {kind} {name}"
            at.mkdir(parents=True, exist_ok=True)
            options = {} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}, "opset_version": 17}
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    torch.onnx.export(
                        model, (x,), str(at / "model.onnx"), input_names=["x"], dynamo=dynamo, verbose=False, **options
                    )
            except Exception as error:  # an exporter of theirs that gives up is no fault of ours
                print(f"PyTorch's exporter ({kind}) has no form for {name}: {str(error).splitlines()[0]}")
                at.rmdir()
                continue
            case(folder, at.name, None, [x.numpy()], [y])
            written += 1
    print(f"PyTorch {torch.__version__}")
    return written


def weights(folder):
    import torch
    from safetensors.torch import load_file, save_file
    from torch import nn

    class Attention(nn.MultiheadAttention):
        def forward(self, x):
            return super().forward(x, x, x, need_weights=False)[0]

    class Gru(nn.GRU):
        def forward(self, x):
            return super().forward(x)[0]

    class Lstm(nn.LSTM):
        def forward(self, x):
            return super().forward(x)[0]

    class Residual(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    networks = {
        "mlp": [nn.Linear(6, 9), nn.BatchNorm1d(9), nn.GELU(), nn.Dropout(0.2), nn.Linear(9, 4), nn.LayerNorm(4)],
        "cnn": [
            nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), groups=2), nn.LeakyReLU(0.1),
            nn.ConvTranspose2d(6, 3, 2, stride=2), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(18, 3),
        ],
        "sequence": [
            nn.Linear(5, 8), Attention(8, 2, batch_first=True), nn.RMSNorm(8, eps=1e-6), Gru(8, 6, batch_first=True),
            Lstm(6, 4, batch_first=True),
        ],
        "words": [
            nn.Embedding(12, 5), Residual(nn.LayerNorm(5), nn.Linear(5, 5), nn.SiLU()), nn.Linear(5, 2), nn.Softmax(-1),
        ],
    }
    table = Table(f"our weights in PyTorch {torch.__version__}")
    torch.manual_seed(3)
    for name, layers in networks.items():
        network = nn.Sequential(*layers).eval()
        x = torch.from_numpy(np.load(folder / f"{name}.input.npy"))
        compute = lambda: network(x).detach().numpy()
        network.load_state_dict(load_file(folder / f"{name}.ours.safetensors"))
        table.add(name, "PyTorch", lambda: off(compute(), np.load(folder / f"{name}.ours.npy")))
        state = network.state_dict()
        for array in (array for array in state.values() if array.is_floating_point()):
            # Variances, which have one axis, are positive.
            array.copy_(torch.rand_like(array) + 0.2 if array.dim() == 1 else 0.4 * torch.randn_like(array))
        save_file(state, folder / f"{name}.theirs.safetensors")
        np.save(folder / f"{name}.theirs.npy", compute())
    return table.end()


if __name__ == "__main__":
    step = {"export": export, "nodes": nodes, "models": models, "weights": weights}[sys.argv[1]]
    sys.exit(1 if step(Path(sys.argv[2])) else 0)
