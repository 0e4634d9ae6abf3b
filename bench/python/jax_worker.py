"""The jobs in JAX, each step compiled as a whole. Variant: `loop` (the loop over steps is compiled too)."""

import os
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Any

from worker import Steps, Unsupported, arguments, factor, initial, limit_cpus, load, main, mean_size, pixels, sizes

limit_cpus(arguments().threads)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
import jax  # noqa: E402  (the number of threads is fixed at the import)
import jax.numpy as jnp  # noqa: E402
from jax import Array, lax  # noqa: E402

Weights = dict[str, Array]
# A loss of weights and two arrays of data.
Loss = Callable[[Weights, Array, Array], Array]
DTYPES = {"f32": jnp.float32, "f64": jnp.float64, "bf16": jnp.bfloat16, "i8": jnp.int8}


def gemm(args: Namespace) -> Steps:
    dtype, m, n, k = sizes(args.case)
    a = jnp.asarray(factor(dtype, m, k), DTYPES[dtype])
    b = jnp.asarray(factor(dtype, k, n), DTYPES[dtype])
    kind = jnp.int32 if dtype == "i8" else None
    product = jax.jit(lambda a, b: jnp.matmul(a, b, preferred_element_type=kind))

    def steps(count: int) -> float:
        for _ in range(count):
            c = product(a, b).block_until_ready()
        return mean_size(jnp.diagonal(c))

    return steps


def sgd(rate: float) -> tuple[Callable, Callable]:
    def update(w: Weights, g: Weights, state: tuple, t: Array) -> tuple[Weights, tuple]:
        return jax.tree.map(lambda p, g: p - rate * g, w, g), state

    return (lambda w: ()), update


def adam(rate: float, decay: float = 0.0) -> tuple[Callable, Callable]:
    def update(w: Weights, g: Weights, state: tuple, t: Array) -> tuple[Weights, tuple]:
        time = (t + 1).astype(jax.tree.leaves(w)[0].dtype)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], g)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, state[1], g)
        step, scale = rate / (1 - 0.9**time), 1 / jnp.sqrt(1 - 0.999**time)

        def moved(p: Array, m: Array, s: Array) -> Array:
            return p * (1 - rate * decay) - step * m / (jnp.sqrt(s) * scale + 1e-8)

        return jax.tree.map(moved, w, mean, square), (mean, square)

    return (lambda w: (jax.tree.map(jnp.zeros_like, w), jax.tree.map(jnp.zeros_like, w))), update


def training(args: Namespace, w: Weights, loss: Loss, optimizer: tuple, x: Array, y: Array, batch: int) -> Steps:
    """Steps over batch after batch of data that lie on the device."""
    start, update = optimizer

    def step(state: tuple, x: Array, y: Array) -> tuple[tuple, Array]:
        w, moments, t = state
        if batch < len(x):
            at = t % (len(x) // batch) * batch
            x, y = lax.dynamic_slice_in_dim(x, at, batch), lax.dynamic_slice_in_dim(y, at, batch)
        value, gradient = jax.value_and_grad(loss)(w, x, y)
        w, moments = update(w, gradient, moments, t)
        return (w, moments, t + 1), value

    @partial(jax.jit, donate_argnums=0)
    def many(state: tuple, x: Array, y: Array, count: int) -> tuple[tuple, Array]:
        first = step(state, x, y)
        return lax.fori_loop(1, count, lambda _, carry: step(carry[0], x, y), first)

    one = jax.jit(step, donate_argnums=0)
    state = (w, start(w), jnp.zeros((), jnp.int32))

    def steps(count: int) -> float:
        nonlocal state
        if args.variant == "loop":
            state, value = many(state, x, y, count)
        else:
            for _ in range(count):
                state, value = one(state, x, y)
        return value.item()

    return steps


def weights(job: str, dtype: Any = jnp.float32) -> Weights:
    return {name: jnp.asarray(value, dtype) for name, value in initial(job).items()}


def linear(w: Weights, name: str, x: Array) -> Array:
    """In the type of x: of bf16 the weights are the rounded f32 masters."""
    return x @ w[f"{name}.weight"].astype(x.dtype) + w[f"{name}.bias"].astype(x.dtype)


def cross_entropy(logits: Array, y: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1).mean()


def tanh_net(names: list[str], compute: Any, w: Weights, x: Array, y: Array) -> Array:
    z = x.astype(compute)
    for name in names[:-1]:
        z = jnp.tanh(linear(w, name, z))
    out = jax.nn.sigmoid(linear(w, names[-1], z)).astype(y.dtype)
    return jnp.mean((out - y) ** 2)


def image_net(args: Namespace) -> Steps:
    dtype = jnp.float64 if args.case.startswith("f64") else jnp.float32
    compute = jnp.bfloat16 if args.case.startswith("bf16") else dtype
    x, y = (jnp.asarray(load(f"image-net/{name}"), dtype) for name in "xy")
    optimizer = adam(1e-3) if args.case.endswith("adam") else sgd(0.1)
    loss = partial(tanh_net, ["l0", "l1", "l2", "l3"], compute)
    return training(args, weights("image-net", dtype), loss, optimizer, x, y, len(x))


def tiny(args: Namespace) -> Steps:
    x, y = (jnp.asarray(load(f"tiny/{name}")) for name in "xy")
    loss = partial(tanh_net, ["hidden", "out"], jnp.float32)
    return training(args, weights("tiny"), loss, sgd(0.5), x, y, 4)


def relu_net(w: Weights, x: Array) -> Array:
    return linear(w, "out", jax.nn.relu(linear(w, "hidden", x)))


def small_net(args: Namespace) -> Steps:
    x, y = jnp.asarray(pixels()), jnp.asarray(load("mnist/labels"), jnp.int32)

    def loss(w: Weights, x: Array, y: Array) -> Array:
        return cross_entropy(relu_net(w, x), y)

    return training(args, weights("small-net"), loss, adam(1e-3), x, y, int(args.case.removeprefix("batch-")))


def layer_norm(w: Weights, name: str, x: Array) -> Array:
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]


def attention(w: Weights, name: str, x: Array) -> Array:
    rows, length, width = x.shape
    parts = linear(w, f"{name}.all", x).reshape(rows, length, 3, 4, width // 4)
    q, k, v = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    scores = (q * (width // 4) ** -0.5) @ k.transpose(0, 1, 3, 2)
    seen = jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf))
    return linear(w, f"{name}.out", (seen @ v).transpose(0, 2, 1, 3).reshape(x.shape))


def char_lm(args: Namespace) -> Steps:
    if args.case != "f32":
        raise Unsupported("not written")
    w = weights("char-lm")
    for i in range(4):
        part = f"block{i}.attention"
        for kind in ("weight", "bias"):
            three = [w.pop(f"{part}.{name}.{kind}") for name in ("query", "key", "value")]
            w[f"{part}.all.{kind}"] = jnp.concatenate(three, -1)
    text = jnp.asarray(load("char-lm/text"), jnp.int32)
    count = (len(text) - 1) // 2048 * 2048
    x, y = text[:count].reshape(-1, 64), text[1 : count + 1].reshape(-1, 64)

    def loss(w: Weights, x: Array, y: Array) -> Array:
        z = w["token.weight"][x] + w["place.weight"]
        for i in range(4):
            z = z + attention(w, f"block{i}.attention", layer_norm(w, f"block{i}.norm0", z))
            up = jax.nn.gelu(linear(w, f"block{i}.up", layer_norm(w, f"block{i}.norm1", z)), approximate=False)
            z = z + linear(w, f"block{i}.down", up)
        return cross_entropy(linear(w, "out", layer_norm(w, "norm", z)), y)

    return training(args, w, loss, adam(1e-3, 0.01), x, y, 32)


def cnn(args: Namespace) -> Steps:
    """Channels last, and pooling as a maximum of reshaped axes: both are faster here than the usual way."""
    w = weights("cnn")
    for name in ("conv0", "conv1"):
        w[f"{name}.weight"] = w[f"{name}.weight"].transpose(2, 3, 1, 0)
    w["out.weight"] = w["out.weight"].reshape(32, 7, 7, 10).transpose(1, 2, 0, 3).reshape(-1, 10)
    x, y = jnp.asarray(load("cnn/x").reshape(-1, 28, 28, 1)), jnp.asarray(load("mnist/labels")[:6400], jnp.int32)

    def layer(w: Weights, name: str, x: Array) -> Array:
        order = ("NHWC", "HWIO", "NHWC")
        z = lax.conv_general_dilated(x, w[f"{name}.weight"], (1, 1), "SAME", dimension_numbers=order)
        z = jax.nn.relu(z + w[f"{name}.bias"])
        n, h, wide, c = z.shape
        return z.reshape(n, h // 2, 2, wide // 2, 2, c).max((2, 4))

    def loss(w: Weights, x: Array, y: Array) -> Array:
        z = layer(w, "conv1", layer(w, "conv0", x))
        return cross_entropy(linear(w, "out", z.reshape(len(z), -1)), y)

    return training(args, w, loss, adam(1e-3), x, y, 64)


def logistic(args: Namespace) -> Steps:
    x, y = (jnp.asarray(load(f"logistic/{name}")) for name in "xy")

    def loss(w: Weights, x: Array, y: Array) -> Array:
        z = linear(w, "out", x)
        return jnp.mean(jnp.logaddexp(0.0, z) - y * z)

    return training(args, weights("logistic", jnp.float64), loss, sgd(0.5), x, y, len(x))


def serve(args: Namespace) -> Steps:
    w, x = weights("small-net"), jnp.asarray(load("serve/x")[: int(args.case.removeprefix("batch-"))])
    forward = jax.jit(relu_net)

    def steps(count: int) -> float:
        for _ in range(count):
            logits = forward(w, x).block_until_ready()
        return mean_size(logits)

    return steps


JOBS = {
    "gemm": gemm,
    "image-net": image_net,
    "small-net": small_net,
    "tiny": tiny,
    "char-lm": char_lm,
    "cnn": cnn,
    "logistic": logistic,
    "serve": serve,
}


def build(args: Namespace) -> Steps:
    if args.case.startswith("f64"):
        jax.config.update("jax_enable_x64", True)
    return JOBS[args.job](args)


if __name__ == "__main__":
    main(jax.__version__, build)
