"""PSNR of a picture learned by `ironlearn train jobs/picture.toml` and by PyTorch, which does the same mathematics.

Both learn the same file, and are measured alike: on the 8-bit picture that the trained network draws.
"""

import argparse
import math
import shutil
import statistics
import subprocess
import time
import tomllib
from pathlib import Path

import numpy as np
import png
import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
JOB = ROOT / "jobs" / "picture.toml"
OUT = HERE / "out"


class Sine(torch.nn.Module):
    def __init__(self, omega: float):
        super().__init__()
        self.omega = omega

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.omega * x)


def network(layers: list[dict]) -> torch.nn.Sequential:
    """The layers of the job, begun as Sitzmann et al. 2020 say."""
    parts, inputs = [], 2
    for i, layer in enumerate(layers):
        outputs = layer.get("siren", 1)
        omega = layer.get("omega", 30.0) if "siren" in layer else layer["init"]["siren"]
        linear = torch.nn.Linear(inputs, outputs)
        bound = 1 / inputs if i == 0 else math.sqrt(6 / inputs) / omega
        torch.nn.init.uniform_(linear.weight, -bound, bound)
        torch.nn.init.uniform_(linear.bias, -1 / math.sqrt(inputs), 1 / math.sqrt(inputs))
        parts += [linear, Sine(omega)] if "siren" in layer else [linear]
        inputs = outputs
    return torch.nn.Sequential(*parts)


def by_pytorch(picture: np.ndarray, job: dict, seed: int) -> np.ndarray:
    torch.manual_seed(seed)
    height, width = picture.shape
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    positions = torch.stack([x, y], -1).reshape(-1, 2)
    levels = torch.from_numpy(picture).reshape(-1, 1).float() / 255
    model = network(job["network"]["layers"])
    recipe, batch, epochs = job["optimizer"], job["train"]["batch"], job["train"]["epochs"]
    optimizer = torch.optim.Adam(model.parameters(), recipe["rate"], (recipe.get("beta1", 0.9), recipe["beta2"]))
    steps = epochs * math.ceil(len(levels) / batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.5 * (1 + math.cos(math.pi * t / steps)))
    for _ in range(epochs):
        for rows in torch.randperm(len(levels)).split(batch):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(positions[rows]), levels[rows]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return (255 * model(positions)).round().clamp(0, 255).numpy().astype(np.uint8).reshape(height, width)


def by_ironlearn(file: Path, threads: int, seed: int) -> np.ndarray:
    out = OUT / f"ironlearn-{seed}"
    program = ROOT / "target" / "release" / "ironlearn"
    settings = {"data.picture": f'"{file}"', "train.seed": seed}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    shutil.rmtree(out, ignore_errors=True)
    command = [program, "train", JOB, *sets, "--out", out, "--quiet", "--threads", str(threads)]
    subprocess.run(command, check=True)
    return png.read(out / "reconstruction.png")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return -10 * math.log10(np.mean((a.astype(float) - b.astype(float)) ** 2) / 255**2)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--picture", type=Path, default=ROOT.parent / "shared/data/pictures/camera.png")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    OUT.mkdir(exist_ok=True)
    job = tomllib.loads(JOB.read_text())

    # Each pixel the mean of two by two.
    full = png.read(options.picture).astype(float)
    small = full.reshape(full.shape[0] // 2, 2, full.shape[1] // 2, 2).mean((1, 3)).round().astype(np.uint8)
    file = OUT / "picture.png"
    png.write(file, small)

    runs = {
        "ironlearn": lambda seed: by_ironlearn(file, options.threads, seed),
        "PyTorch": lambda seed: by_pytorch(small, job, seed),
    }
    seeds = range(1, options.seeds + 1)
    print("PSNR in dB of", small.shape[1], "x", small.shape[0], "pixels on", options.threads, "thread(s)")
    print("|", *(f"| seed {seed} " for seed in seeds), "| mean | seconds a run |")
    print("|---" * (options.seeds + 3) + "|")
    for name, run in runs.items():
        OUT.joinpath(name).mkdir(exist_ok=True)
        begin, found = time.time(), []
        for seed in seeds:
            drawn = run(seed)
            png.write(OUT / name / f"{seed}.png", drawn)
            found.append(psnr(drawn, small))
        each = (time.time() - begin) / options.seeds
        print(f"| {name} |", *(f"{x:.2f} |" for x in found), f"{statistics.mean(found):.2f} | {each:.0f} |", flush=True)


if __name__ == "__main__":
    main()
