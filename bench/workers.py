"""The frameworks, and their workers: processes that run one case, stopped while it is not their turn."""

import ctypes
import json
import os
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from cases import Case

HERE = Path(__file__).resolve().parent
PYTHON = HERE / ".venv" / "bin" / "python"
THREADS = 2


@dataclass(frozen=True)
class Framework:
    """A worker and how it is called."""

    name: str
    command: list[str]
    variant: str = ""
    # All jobs, where there are none.
    jobs: tuple[str, ...] = ()
    crate: str = ""

    @property
    def base(self) -> str:
        return self.name.partition("-")[0]

    def arguments(self, job: str, case: str) -> list[str]:
        variant = ["--variant", self.variant] if self.variant else []
        return [*self.command, "--job", job, "--case", case, "--threads", str(THREADS), *variant]


def all_frameworks() -> list[Framework]:
    def rust(name: str, variant: str = "", jobs: tuple[str, ...] = ()) -> Framework:
        crate = name.partition("-")[0]
        return Framework(name, [str(HERE / crate / "target" / "release" / f"bench-{crate}")], variant, jobs, crate)

    def python(name: str, variant: str = "", jobs: tuple[str, ...] = ()) -> Framework:
        base = name.partition("-")[0]
        return Framework(name, [str(PYTHON), str(HERE / "python" / f"{base}_worker.py")], variant, jobs)

    trained = ("image-net", "small-net", "tiny", "char-lm", "cnn", "logistic", "serve")
    return [
        rust("ironlearn"),
        rust("ironlearn-loop", "loop", ("tiny",)),
        python("numpy"),
        python("torch"),
        python("torch-compile", "compile", trained),
        python("torch-channels-last", "channels-last", ("cnn",)),
        python("jax"),
        python("jax-loop", "loop", ("tiny",)),
        python("onnxruntime", "", ("gemm", "serve", "integers")),
        rust("candle"),
        rust("burn"),
    ]


def environment() -> dict[str, str]:
    """That of every worker: the same number of threads by every name that there is."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    own = {name: str(THREADS) for name in names}
    return {**os.environ, **own, "TORCHINDUCTOR_CACHE_DIR": str(HERE / ".venv" / "inductor")}


def die_with_parent() -> None:
    """A worker that is stopped would otherwise outlive a harness that is killed."""
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


class LeftOut(Exception):
    """Why a framework has no value in a case."""


class Worker:
    """A process that runs one case, stopped while it is not its turn."""

    def __init__(self, framework: Framework, case: Case) -> None:
        self.framework = framework
        self.case = case
        self.version = ""
        self.rates: list[float] = []
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            framework.arguments(case.job, case.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment(),
            start_new_session=True,
            preexec_fn=die_with_parent,
        )

    def signal(self, which: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, which)
        except ProcessLookupError:
            pass

    def ask(self, line: str) -> None:
        try:
            print(line, file=self.process.stdin, flush=True)
        except BrokenPipeError:
            pass

    def answer(self, seconds: float = 300.0) -> dict:
        """The next line of the worker."""
        watchdog = threading.Timer(seconds, self.signal, [signal.SIGKILL])
        watchdog.start()
        line = self.process.stdout.readline()
        watchdog.cancel()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            last = (self.errors.read().strip().splitlines() or [f"no answer within {seconds:.0f} s"])[-1]
            raise LeftOut(f"failed: {last[:100]}")
        found = json.loads(line)
        if "unsupported" in found:
            raise LeftOut(found["unsupported"])
        return found

    def loss(self) -> float:
        """The loss after the steps asked for at the start; the worker is then stopped."""
        self.version = self.answer()["version"]
        loss = self.answer()["loss"]
        self.signal(signal.SIGSTOP)
        return loss

    def block(self, seconds: float) -> float:
        """Steps per second of one block."""
        self.signal(signal.SIGCONT)
        self.ask(f"run {seconds}")
        found = self.answer()
        self.signal(signal.SIGSTOP)
        return found["steps"] / found["seconds"]

    def peak_memory(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
        return 0

    def end(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()
