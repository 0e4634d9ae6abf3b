"""The part of cuda_peers.py that is PyTorch: eager, captured as a CUDA graph, and compiled before that."""

from __future__ import annotations

import math
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from cuda_peers import JOBS, WARM, Job, Run, measure
from torch import Tensor, nn
from torch.nn import functional as F
from torch_worker import Sequence, set_initial, squares
from worker import load, pixels

ROOT = Path(__file__).resolve().parent.parent.parent
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PRECISIONS = ("f32", "tf32", "bf16")
# The quality that the original program's drawing of this picture has, in dB.
QUALITY, EPOCHS = 28.06, 40


def wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def is_mixed(precision: str) -> bool:
    """Sets how products of f32 are computed; whether a forward pass is one of mixed precision."""
    torch.backends.cuda.matmul.allow_tf32 = precision != "f32"
    return precision == "bf16"


def graphed(steps: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Takes WARM steps, then captures one: gives what replays it, and where its loss lies."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            steps()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = steps()
    return graph.replay, loss


def arrays(job: Job) -> tuple[Tensor, Tensor]:
    """All rows, in the memory of the GPU."""
    if job.classes:
        return torch.from_numpy(pixels()).to(DEVICE), torch.from_numpy(load("mnist/labels")).long().to(DEVICE)
    x, y = (torch.from_numpy(load(f"{job.folder}/{name}")).to(DEVICE) for name in "xy")
    return x, y


def training(job: Job, precision: str, variant: str) -> Run:
    mixed = is_mixed(precision)
    model = Sequence(list(job.sizes), list(job.layers), getattr(torch, job.between))
    set_initial(model, job.folder)
    model.to(DEVICE)
    loss = F.cross_entropy if job.classes else squares
    on_gpu = DEVICE == "cuda"
    if job.adam:
        update = torch.optim.Adam(model.parameters(), lr=job.rate, fused=True, capturable=on_gpu)
    else:
        update = torch.optim.SGD(model.parameters(), lr=job.rate, fused=True)
    all_x, all_y = arrays(job)
    batch = job.batch or len(all_x)
    count, number = len(all_x) // batch, 0

    def forward(x: Tensor, y: Tensor) -> Tensor:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=mixed):
            return loss(model(x), y)

    if variant.startswith("compile"):
        forward = torch.compile(forward, dynamic=False)

    def step(x: Tensor, y: Tensor) -> Tensor:
        update.zero_grad(set_to_none=True)
        value = forward(x, y)
        value.backward()
        update.step()
        return value.detach()

    def rows() -> tuple[Tensor, Tensor]:
        nonlocal number
        at = number % count * batch
        number += 1
        return all_x[at : at + batch], all_y[at : at + batch]

    def eager(steps: int) -> Tensor:
        for _ in range(steps):
            value = step(*rows())
        return value

    if not variant.endswith("graph"):
        return Run(eager)
    x, y = (part.clone() for part in (all_x[:batch], all_y[:batch]))

    def fill() -> None:
        for buffer, part in zip((x, y), rows()):
            buffer.copy_(part)

    def filled() -> Tensor:
        # Where all rows are one batch, the buffers hold it.
        if count > 1 and not torch.cuda.is_current_stream_capturing():
            fill()
        return step(x, y)

    replay, value = graphed(filled)

    def replays(steps: int) -> Tensor:
        for _ in range(steps):
            if count > 1:
                fill()
            replay()
        return value

    return Run(replays, done=WARM)


def picture(key: str, precision: str) -> None:
    """Seconds until jobs/picture.toml draws data/simba-200.png well enough: steps as one graph, a look each epoch."""
    sys.path.insert(0, str(ROOT / "bench" / "picture-quality"))
    import compare
    import png

    source = png.read(ROOT / "data" / "simba-200.png")
    job = tomllib.loads((ROOT / "jobs" / "picture.toml").read_text())
    torch.manual_seed(0)
    around = partial(torch.autocast, DEVICE, torch.bfloat16, enabled=is_mixed(precision))
    model = compare.network(job["network"]["layers"]).to(DEVICE)
    height, width = source.shape
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    positions = torch.stack([x, y], -1).reshape(-1, 2).to(DEVICE)
    levels = torch.from_numpy(source).reshape(-1, 1).float().to(DEVICE)
    recipe, batch = job["optimizer"], job["train"]["batch"]
    steps = len(levels) // batch
    whole = EPOCHS * steps
    rates = torch.tensor([recipe["rate"] * 0.5 * (1 + math.cos(math.pi * t / whole)) for t in range(whole)])
    rates, rate, at = rates.to(DEVICE), torch.zeros((), device=DEVICE), torch.zeros(1, dtype=torch.long, device=DEVICE)
    order = torch.randperm(len(levels), device=DEVICE)
    betas = (recipe.get("beta1", 0.9), recipe["beta2"])
    update = torch.optim.Adam(model.parameters(), lr=rate, betas=betas, fused=True, capturable=True)

    def step() -> Tensor:
        rows = order.view(steps, batch).index_select(0, at % steps)[0]
        rate.copy_(rates.index_select(0, at)[0])
        at.add_(1)
        update.zero_grad(set_to_none=True)
        with around():
            value = F.mse_loss(model(positions[rows]), levels[rows] / 255)
        value.backward()
        update.step()
        return value.detach()

    first = [parameter.detach().clone() for parameter in model.parameters()]
    replay, _ = graphed(step)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), first):
            parameter.copy_(value)
            for moment in update.state[parameter].values():
                moment.zero_()
        at.zero_()
    wait()
    begin = time.perf_counter()
    for epoch in range(1, EPOCHS + 1):
        order.copy_(torch.randperm(len(levels), device=DEVICE))
        for _ in range(steps):
            replay()
        with torch.no_grad(), around():
            drawn = (255 * model(positions).float()).round().clamp(0, 255)
        error = F.mse_loss(drawn, levels).item()
        quality = 10 * math.log10(255**2 / error) if error else math.inf
        if quality >= QUALITY:
            break
    print(f"{key}.seconds {time.perf_counter() - begin:.4f}", flush=True)
    print(f"{key}.epochs {epoch}", flush=True)
    print(f"{key}.psnr {quality:.2f}", flush=True)


def timed(key: str, job: Job, precision: str, variant: str) -> None:
    measure(key, training(job, precision, variant), wait)


def tasks(only: str | None, precision: str | None) -> Iterator[tuple[str, Callable[[str], None]]]:
    """The shortest and those that matter most first."""
    precisions = (precision,) if precision else PRECISIONS
    jobs = [job for job in JOBS if only in (None, job.name)]
    for variant in ("eager", "graph", "compile-graph"):
        for job in jobs:
            for chosen in precisions if job.name != "xor" else ("f32",):
                yield f"{job.name}.{chosen}.{variant}", partial(timed, job=job, precision=chosen, variant=variant)
        if variant == "graph" and only in (None, "picture"):
            for chosen in precisions:
                yield f"picture.{chosen}.graph", partial(picture, precision=chosen)
