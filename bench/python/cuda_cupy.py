"""The part of cuda_peers.py that is CuPy: cuBLAS for products, kernels of one's own between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import cupy as cp
from cuda_peers import JOBS, Job, Run, measure
from worker import initial, load, pixels

ACTIVATE = {
    "tanh": cp.ElementwiseKernel("T z, T b", "T y", "y = tanh(z + b)", "bias_tanh"),
    "relu": cp.ElementwiseKernel("T z, T b", "T y", "y = max(z + b, (T)0)", "bias_relu"),
}
# From the gradient of an activation, and the activation, to the gradient before it.
RETURN = {
    "tanh": cp.ElementwiseKernel("T d, T y", "T z", "z = d * (1 - y * y)", "tanh_back"),
    "relu": cp.ElementwiseKernel("T d, T y", "T z", "z = y > 0 ? d : (T)0", "relu_back"),
}
SQUARES = cp.ElementwiseKernel(
    "T z, T b, T target, T share",
    "T loss, T d",
    "T p = 1 / (1 + exp(-z - b)); T e = p - target; loss = share * e * e; d = 2 * share * e * p * (1 - p)",
    "sigmoid_squares",
)
# A thread for each row of logits.
CROSS_ENTROPY = cp.ElementwiseKernel(
    "raw T z, raw T b, U label, T share, int32 classes",
    "T loss, raw T d",
    """
    long long at = (long long)i * classes;
    T most = z[at] + b[0], sum = 0;
    for (int c = 1; c < classes; c++) most = max(most, z[at + c] + b[c]);
    for (int c = 0; c < classes; c++) sum += exp(z[at + c] + b[c] - most);
    for (int c = 0; c < classes; c++) d[at + c] = share * (exp(z[at + c] + b[c] - most) / sum - (c == (int)label));
    int right = label;
    loss = share * (log(sum) + most - z[at + right] - b[right]);
    """,
    "cross_entropy",
)
ADAM = cp.ElementwiseKernel(
    "T g, T rate, T first, T second",
    "T w, T m, T v",
    "m = 0.9f * m + 0.1f * g; v = 0.999f * v + 0.001f * g * g; w -= rate * (m / first) / (sqrt(v / second) + 1e-8f)",
    "adam",
)
SGD = cp.ElementwiseKernel("T g, T rate", "T w", "w -= rate * g", "sgd")


class Network:
    """Layers whose parameters are views of one array, so that an update is one kernel."""

    def __init__(self, job: Job) -> None:
        self.job, self.taken = job, 0
        weights = initial(job.folder)
        parts = [weights[f"{layer}.{kind}"] for layer in job.layers for kind in ("weight", "bias")]
        size = sum(part.size for part in parts)
        self.all, self.gradient, self.m, self.v = (cp.zeros(size, cp.float32) for _ in range(4))
        self.values, self.gradients, at = [], [], 0
        for part in parts:
            for array, views in ((self.all, self.values), (self.gradient, self.gradients)):
                views.append(array[at : at + part.size].reshape(part.shape))
            self.values[-1][...] = cp.asarray(part)
            at += part.size

    def step(self, x: cp.ndarray, y: cp.ndarray) -> cp.ndarray:
        activations, count = [x], len(self.job.layers)
        for i in range(count):
            weight, bias = self.values[2 * i : 2 * i + 2]
            z = cp.matmul(activations[-1], weight)
            if i + 1 < count:
                activations.append(ACTIVATE[self.job.between](z, bias))
        if self.job.classes:
            d = cp.empty_like(z)
            losses = cp.empty(len(x), cp.float32)
            CROSS_ENTROPY(z, bias, y, cp.float32(1 / len(x)), z.shape[1], losses, d)
        else:
            losses, d = SQUARES(z, bias, y, cp.float32(1 / len(x)))
        for i in reversed(range(count)):
            cp.matmul(activations[i].T, d, out=self.gradients[2 * i])
            cp.sum(d, axis=0, out=self.gradients[2 * i + 1])
            if i > 0:
                d = RETURN[self.job.between](cp.matmul(d, self.values[2 * i].T), activations[i])
        self.update()
        return losses

    def update(self) -> None:
        self.taken += 1
        rate = cp.float32(self.job.rate)
        if self.job.adam:
            first, second = (cp.float32(1 - beta**self.taken) for beta in (0.9, 0.999))
            ADAM(self.gradient, rate, first, second, self.all, self.m, self.v)
        else:
            SGD(self.gradient, rate, self.all)


def training(job: Job) -> Run:
    network = Network(job)
    if job.classes:
        x, y = cp.asarray(pixels()), cp.asarray(load("mnist/labels"))
    else:
        x, y = (cp.asarray(load(f"{job.folder}/{name}")) for name in "xy")
    batch = job.batch or len(x)
    count = len(x) // batch

    def steps(number: int) -> cp.ndarray:
        for _ in range(number):
            at = network.taken % count * batch
            losses = network.step(x[at : at + batch], y[at : at + batch])
        return losses.sum()

    return Run(steps)


def timed(key: str, job: Job) -> None:
    measure(key, training(job), cp.cuda.Device().synchronize)


def tasks(only: str | None, precision: str | None) -> Iterator[tuple[str, Callable[[str], None]]]:
    precision = precision or "f32"
    for job in JOBS:
        if only in (None, job.name) and precision != "bf16" and (precision == "f32" or job.name != "xor"):
            yield f"{job.name}.{precision}.eager", partial(timed, job=job)
