"""Which device a model runs on, and how many CPU threads a task may use."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from facerec.errors import ModelError

Item = TypeVar("Item")
Result = TypeVar("Result")

PRECISIONS = ("auto", "float32", "float16", "bfloat16")
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Placement:
    """Where and how a model runs.

    Attributes:
        device: `cpu` or `cuda:i`.
        precision: name of torch's type that the networks compute in, for those that can reduce it.
        batch_size: frames or crops at once; None: what suits the model there.
    """

    device: str = "cpu"
    precision: str = "float32"
    batch_size: int | None = None


def choose_placement(
    device: str, precision: str, batch_size: int | None, name: str, runs_on_cuda: bool
) -> Placement:
    """Where and how the model `name` is to run.

    Half precision is automatic on a GPU, whose speed lies there; float16, because its rounding is an
    eighth of bfloat16's and no activation of these networks comes near its range.

    Raises:
        ModelError: there is no such device, precision or batch size.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    if batch_size is not None and batch_size < 1:
        raise ModelError(f"the batch size must be at least 1, not {batch_size}")
    chosen = choose_device(device, name, runs_on_cuda)
    if chosen != "cpu":
        make_cudnn_deterministic()
    if precision == "auto":
        precision = "float32" if chosen == "cpu" else "float16"
    return Placement(chosen, precision, batch_size)


def choose_device(asked: str, name: str, runs_on_cuda: bool) -> str:
    """Say where the model `name` is to run: `cpu` or `cuda:i`.

    `auto` takes the first GPU for a model that can use one, the CPU otherwise. Where `cuda` was asked
    for and is not there, nothing falls back to the CPU; a model that has no GPU version says so in the
    log (`facerec.models.check_device` refuses a pair of models of which neither has one).

    Raises:
        ModelError: `asked` is no device, or a GPU that is not there.
    """
    if not _DEVICE.fullmatch(asked):
        raise ModelError(f"device {asked!r} is not one of auto, cpu, cuda, cuda:0, cuda:1, …")
    if asked == "cpu" or (asked == "auto" and not runs_on_cuda):
        return "cpu"
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return "cuda:0" if found else "cpu"
    index = int(asked.partition(":")[2] or 0)
    if index >= found:
        raise ModelError(
            f"device {asked} was asked for, and torch finds {found} GPUs here; use --device auto or cpu"
        )
    if not runs_on_cuda:
        logging.warning("%s has no GPU version: it runs on the CPU, beside device %s", name, asked)
        return "cpu"
    return f"cuda:{index}"


def make_cudnn_deterministic() -> None:
    """Have cuDNN compute in the precision asked for, and the same bits in every process.

    Left alone it rounds float32 to TF32, and may pick its algorithms by trying them. For the whole process,
    since the models of a pipeline run in threads side by side.
    """
    import torch

    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False


@contextmanager
def oom_as_model_error(what: str) -> Iterator[None]:
    """Say so in one line where the GPU's memory is too small for `what`.

    Raises:
        ModelError: it is.
    """
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"the GPU's memory is too small for {what}; give a smaller --batch-size, or take a larger GPU"
        ) from error


def cpu_threads() -> int:
    """CPU threads that this task was given: OMP_NUM_THREADS, else SLURM's share, else its cores."""
    for variable in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        value = os.environ.get(variable, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return len(os.sched_getaffinity(0))


def limit_threads() -> None:
    """Hold OpenCV to `cpu_threads()`, so that workers share a node fairly, and torch's operators to one.

    Left alone they take every core of the machine, whatever SLURM gave to this task.
    """
    import cv2

    cv2.setNumThreads(cpu_threads())
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work` done on each of `items` by `cpu_threads()` threads, each of which runs torch on one core.

    torch's own way, to split every operator over the cores, makes all of them wait (spinning) for the
    slowest at each of hundreds of layers: where decoding or another job holds a core for a moment, that
    takes ten times as long. It also makes the last bits depend on the number of cores; this does not.
    """
    return list(_threads().map(work, items))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cpu_threads(), "model", initializer=limit_threads)
