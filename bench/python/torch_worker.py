"""The jobs in PyTorch. Variants: `compile` (torch.compile), `channels-last` (memory format of cnn)."""

from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from worker import Steps, factor, initial, load, main, mean_size, pixels, sizes

DTYPES = {"f32": torch.float32, "f64": torch.float64, "bf16": torch.bfloat16, "i8": torch.int8}


def gemm(args: Namespace) -> Steps:
    dtype, m, n, k = sizes(args.case)
    a = torch.from_numpy(factor(dtype, m, k)).to(DTYPES[dtype])
    b = torch.from_numpy(factor(dtype, k, n)).to(DTYPES[dtype])
    product = torch._int_mm if dtype == "i8" else torch.matmul
    c = product(a, b)

    def steps(count: int) -> float:
        for _ in range(count):
            product(a, b, out=c)
        return mean_size(c.diagonal().double().numpy())

    return steps


def memory(args: Namespace) -> Steps:
    """Reads an array again and again: the practical limit of what is bound by memory."""
    x = torch.ones(int(args.case.removeprefix("read-").removesuffix("MB")) * 1_000_000 // 8, dtype=torch.float64)

    def steps(count: int) -> float:
        return [x.sum().item() for _ in range(count)][-1]

    return steps


def set_initial(model: nn.Module, job: str) -> None:
    """The weights that every framework begins with; those of linear layers lie the other way round here."""
    weights = {name: torch.from_numpy(value) for name, value in initial(job).items()}
    for i in range(4):
        part = f"block{i}.attention"
        for kind in ("weight", "bias") if f"{part}.query.bias" in weights else ():
            three = [weights.pop(f"{part}.{name}.{kind}") for name in ("query", "key", "value")]
            weights[f"{part}.all.{kind}"] = torch.cat(three, -1)
    with torch.no_grad():
        for path, layer in model.named_modules():
            for name, parameter in layer.named_parameters(recurse=False):
                value = weights[f"{path}.{name}"]
                parameter.copy_(value.T if isinstance(layer, nn.Linear) and value.ndim == 2 else value)


class Sequence(nn.Module):
    """Linear layers with a function between them."""

    def __init__(self, sizes: list[int], names: list[str], between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.between = between
        self.names = names
        for name, inputs, outputs in zip(names, sizes, sizes[1:]):
            self.add_module(name, nn.Linear(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names[:-1]:
            x = self.between(self.get_submodule(name)(x))
        return self.get_submodule(self.names[-1])(x)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        q, k, v = (part.view(rows, length, self.heads, -1).transpose(1, 2) for part in self.all(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(rows, length, width))


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm0, self.norm1 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, 4)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm0(x))
        return x + self.down(F.gelu(self.up(self.norm1(x))))


class CharLm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(65, 128), nn.Embedding(64, 128)
        for i in range(4):
            self.add_module(f"block{i}", Block(128))
        self.norm, self.out = nn.LayerNorm(128), nn.Linear(128, 65)

    def forward(self, x: Tensor) -> Tensor:
        z = self.token(x) + self.place.weight
        for i in range(4):
            z = self.get_submodule(f"block{i}")(z)
        return self.out(self.norm(z))


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.conv1 = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.out = nn.Linear(32 * 7 * 7, 10)

    def forward(self, x: Tensor) -> Tensor:
        z = F.max_pool2d(F.relu(self.conv0(x)), 2)
        z = F.max_pool2d(F.relu(self.conv1(z)), 2)
        return self.out(z.flatten(1))


def training(
    args: Namespace,
    model: nn.Module,
    optimizer: type[torch.optim.Optimizer],
    loss: Callable[[Tensor, Tensor], Tensor],
    batches: Iterator[tuple[Tensor, Tensor]],
    **options: float,
) -> Steps:
    """Steps of training. Optimizers are the fused ones, which are the fastest."""
    mixed = args.case.startswith("bf16")
    precision: Callable[[], AbstractContextManager] = (
        partial(torch.autocast, "cpu", torch.bfloat16) if mixed else nullcontext
    )

    def forward(x: Tensor, y: Tensor) -> Tensor:
        with precision():
            return loss(model(x), y)

    if args.variant == "compile":
        forward = torch.compile(forward)
    update = optimizer(model.parameters(), fused=True, **options)

    def steps(count: int) -> float:
        for _ in range(count):
            value = forward(*next(batches))
            update.zero_grad()
            value.backward()
            update.step()
        return value.item()

    return steps


def in_turn(x: Tensor, y: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batch after batch, from the front again after the last whole one."""
    while True:
        for at in range(0, len(x) // batch * batch, batch):
            yield x[at : at + batch], y[at : at + batch]


def whole(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield x, y


def squares(z: Tensor, y: Tensor) -> Tensor:
    return F.mse_loss(torch.sigmoid(z), y)


def image_net(args: Namespace) -> Steps:
    dtype = torch.float64 if args.case.startswith("f64") else torch.float32
    model = Sequence([2, 256, 256, 128, 1], ["l0", "l1", "l2", "l3"], torch.tanh).to(dtype)
    set_initial(model, "image-net")
    x, y = (torch.from_numpy(load(f"image-net/{name}")).to(dtype) for name in "xy")
    if args.case.endswith("adam"):
        return training(args, model, torch.optim.Adam, squares, whole(x, y), lr=1e-3)
    return training(args, model, torch.optim.SGD, squares, whole(x, y), lr=0.1)


def tiny(args: Namespace) -> Steps:
    model = Sequence([2, 4, 1], ["hidden", "out"], torch.tanh)
    set_initial(model, "tiny")
    x, y = (torch.from_numpy(load(f"tiny/{name}")) for name in "xy")
    return training(args, model, torch.optim.SGD, squares, whole(x, y), lr=0.5)


def small_net(args: Namespace) -> Steps:
    model = Sequence([784, 128, 10], ["hidden", "out"], F.relu)
    set_initial(model, "small-net")
    x, y = torch.from_numpy(pixels()), torch.from_numpy(load("mnist/labels")).long()
    batches = in_turn(x, y, int(args.case.removeprefix("batch-")))
    return training(args, model, torch.optim.Adam, F.cross_entropy, batches, lr=1e-3)


def char_lm(args: Namespace) -> Steps:
    model = CharLm()
    set_initial(model, "char-lm")
    text = torch.from_numpy(load("char-lm/text")).long()
    count = (len(text) - 1) // 2048 * 2048
    x, y = text[:count].view(-1, 64), text[1 : count + 1].view(-1, 64)

    def loss(z: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(z.view(-1, 65), y.reshape(-1))

    return training(args, model, torch.optim.AdamW, loss, in_turn(x, y, 32), lr=1e-3, weight_decay=0.01)


def cnn(args: Namespace) -> Steps:
    model, x = Cnn(), torch.from_numpy(load("cnn/x"))
    set_initial(model, "cnn")
    if args.variant == "channels-last":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    y = torch.from_numpy(load("mnist/labels"))[:6400].long()
    return training(args, model, torch.optim.Adam, F.cross_entropy, in_turn(x, y, 64), lr=1e-3)


def logistic(args: Namespace) -> Steps:
    model = Sequence([30, 1], ["out"], torch.tanh).double()
    set_initial(model, "logistic")
    x, y = (torch.from_numpy(load(f"logistic/{name}")) for name in "xy")
    loss = F.binary_cross_entropy_with_logits
    return training(args, model, torch.optim.SGD, loss, whole(x, y), lr=0.5)


def serve(args: Namespace) -> Steps:
    model = Sequence([784, 128, 10], ["hidden", "out"], F.relu).eval()
    set_initial(model, "small-net")
    x = torch.from_numpy(load("serve/x"))[: int(args.case.removeprefix("batch-"))]
    forward = torch.compile(model) if args.variant == "compile" else model

    @torch.inference_mode()
    def steps(count: int) -> float:
        for _ in range(count):
            logits = forward(x)
        return mean_size(logits.numpy())

    return steps


JOBS = {
    "gemm": gemm,
    "memory": memory,
    "image-net": image_net,
    "small-net": small_net,
    "tiny": tiny,
    "char-lm": char_lm,
    "cnn": cnn,
    "logistic": logistic,
    "serve": serve,
}


def build(args: Namespace) -> Steps:
    torch.set_num_threads(args.threads)
    return JOBS[args.job](args)


if __name__ == "__main__":
    main(torch.__version__, build)
