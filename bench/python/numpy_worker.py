"""The jobs in NumPy, with gradients by hand."""

from argparse import Namespace
from collections.abc import Callable

import numpy as np
from worker import Steps, Unsupported, factor, initial, load, main, mean_size, pixels, sizes

Weights = dict[str, np.ndarray]


def gemm(args: Namespace) -> Steps:
    dtype, m, n, k = sizes(args.case)
    if dtype not in ("f32", "f64"):
        raise Unsupported(f"no fast product of {dtype}")
    a, b, c = factor(dtype, m, k), factor(dtype, k, n), np.empty((m, n), factor(dtype, 1, 1).dtype)

    def steps(count: int) -> float:
        for _ in range(count):
            np.matmul(a, b, out=c)
        return mean_size(np.diagonal(c))

    return steps


def sgd(weights: Weights, rate: float) -> Callable[[Weights], None]:
    def update(gradients: Weights) -> None:
        for name, p in weights.items():
            p -= rate * gradients[name]

    return update


def adam(weights: Weights, rate: float) -> Callable[[Weights], None]:
    mean = {name: np.zeros_like(p) for name, p in weights.items()}
    square = {name: np.zeros_like(p) for name, p in weights.items()}
    t = 0

    def update(gradients: Weights) -> None:
        nonlocal t
        t += 1
        step, scale = rate / (1 - 0.9**t), 1 / np.sqrt(1 - 0.999**t).item()
        for name, p in weights.items():
            g, m, s = gradients[name], mean[name], square[name]
            m *= 0.9
            m += 0.1 * g
            s *= 0.999
            s += 0.001 * (g * g)
            p -= step * m / (np.sqrt(s) * scale + 1e-8)

    return update


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def tanh_net(w: Weights, names: list[str], x: np.ndarray, y: np.ndarray, update: Callable[[Weights], None]) -> Steps:
    """Linear layers with tanh between them and a sigmoid at the end, mean squared error, all rows in one step."""

    def step() -> float:
        inputs = [x]
        for name in names[:-1]:
            z = inputs[-1] @ w[f"{name}.weight"]
            z += w[f"{name}.bias"]
            inputs.append(np.tanh(z, out=z))
        out = sigmoid(inputs[-1] @ w[f"{names[-1]}.weight"] + w[f"{names[-1]}.bias"])
        error = out - y
        loss = np.mean(error * error).item()
        delta = (2 / error.size) * error * out * (1 - out)
        gradients = {}
        for name, z in zip(reversed(names), reversed(inputs)):
            gradients[f"{name}.weight"] = z.T @ delta
            gradients[f"{name}.bias"] = delta.sum(0)
            if name != names[0]:
                delta = delta @ w[f"{name}.weight"].T
                delta *= 1 - z * z
        update(gradients)
        return loss

    def steps(count: int) -> float:
        return [step() for _ in range(count)][-1]

    return steps


def image_net(args: Namespace) -> Steps:
    if args.case.startswith("bf16"):
        raise Unsupported("no bf16")
    dtype = np.float64 if args.case.startswith("f64") else np.float32
    w = {name: value.astype(dtype) for name, value in initial("image-net").items()}
    update = adam(w, 1e-3) if args.case.endswith("adam") else sgd(w, 0.1)
    x, y = load("image-net/x").astype(dtype), load("image-net/y").astype(dtype)
    return tanh_net(w, ["l0", "l1", "l2", "l3"], x, y, update)


def tiny(args: Namespace) -> Steps:
    w = initial("tiny")
    return tanh_net(w, ["hidden", "out"], load("tiny/x"), load("tiny/y"), sgd(w, 0.5))


def small_net(args: Namespace) -> Steps:
    batch = int(args.case.removeprefix("batch-"))
    w, images, labels = initial("small-net"), pixels(), load("mnist/labels").astype(np.int64)
    update, rows, number = adam(w, 1e-3), np.arange(batch), 0

    def step() -> float:
        nonlocal number
        at = number % (len(images) // batch) * batch
        number += 1
        x, y = images[at : at + batch], labels[at : at + batch]
        hidden = np.maximum(x @ w["hidden.weight"] + w["hidden.bias"], 0)
        logits = hidden @ w["out.weight"] + w["out.bias"]
        logits -= logits.max(1, keepdims=True)
        p = np.exp(logits)
        total = p.sum(1, keepdims=True)
        loss = (np.log(total[:, 0]) - logits[rows, y]).mean().item()
        p /= total
        p[rows, y] -= 1
        p /= batch
        back = p @ w["out.weight"].T
        back *= hidden > 0
        update(
            {
                "out.weight": hidden.T @ p,
                "out.bias": p.sum(0),
                "hidden.weight": x.T @ back,
                "hidden.bias": back.sum(0),
            }
        )
        return loss

    def steps(count: int) -> float:
        return [step() for _ in range(count)][-1]

    return steps


def logistic(args: Namespace) -> Steps:
    x, y = load("logistic/x"), load("logistic/y")[:, 0]
    w, bias = np.zeros(30), 0.0

    def step() -> tuple[np.ndarray, np.ndarray]:
        nonlocal w, bias
        z = x @ w + bias
        error = (sigmoid(z) - y) / len(y)
        w = w - 0.5 * (error @ x)
        bias -= 0.5 * error.sum()
        return z

    def steps(count: int) -> float:
        z = [step() for _ in range(count)][-1]
        return np.mean(np.logaddexp(0, z) - y * z).item()

    return steps


def serve(args: Namespace) -> Steps:
    w, x = initial("small-net"), load("serve/x")[: int(args.case.removeprefix("batch-"))]

    def steps(count: int) -> float:
        for _ in range(count):
            hidden = np.maximum(x @ w["hidden.weight"] + w["hidden.bias"], 0)
            logits = hidden @ w["out.weight"] + w["out.bias"]
        return mean_size(logits)

    return steps


JOBS = {
    "gemm": gemm,
    "image-net": image_net,
    "small-net": small_net,
    "tiny": tiny,
    "logistic": logistic,
    "serve": serve,
}


def build(args: Namespace) -> Steps:
    if args.job not in JOBS:
        raise Unsupported("no gradients by hand written for it")
    return JOBS[args.job](args)


if __name__ == "__main__":
    main(np.__version__, build)
