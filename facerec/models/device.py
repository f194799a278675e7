"""Device, precision and batch size of a model, and the threads in which it runs on a CPU."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from facerec.errors import ModelError
from facerec.support.atomic import host
from facerec.support.limits import cpu_threads
from facerec.support.shell import option

Item = TypeVar("Item")
Result = TypeVar("Result")

PRECISIONS = ("auto", "float32", "float16", "bfloat16")
NO_GPU_VERSION = "has no GPU version"
# of a model that ONNX Runtime computes
NO_CUDA_PROVIDER = (
    "needs ONNX Runtime's CUDA provider, which is not installed here (package onnxruntime-gpu in place of "
    "onnxruntime)"
)
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True)
class Placement:
    """Where and how a model runs.

    Attributes:
        device: `cpu` or `cuda:i`.
        precision: name of the torch type to compute in; ignored by models without reduced precision.
        batch_size: frames or crops at once; None for the model's own choice.
        cuda_graphs: whether RetinaFace and FaceNet repeat their work on a GPU as a recorded CUDA graph.
    """

    device: str = "cpu"
    precision: str = "float32"
    batch_size: int | None = None
    cuda_graphs: bool = False


def choose_placement(
    device: str,
    precision: str,
    batch_size: int | None,
    name: str,
    runs_on_cuda: bool,
    *,
    measured: bool = False,
    cuda_graphs: bool = False,
    obstacle: str = NO_GPU_VERSION,
) -> Placement:
    """Choose device and precision of the model `name`.

    Args:
        precision: one of `PRECISIONS`; `auto` is float16 on a GPU if `measured`, otherwise float32.
        measured: whether a GPU has shown that float16 gives the results of float32 (`precision.py`).
        obstacle: see `choose_device`.

    Raises:
        ModelError: the device is not available, or a value is not valid.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision {precision!r} is not one of {', '.join(PRECISIONS)}")
    if batch_size is not None and batch_size < 1:
        raise ModelError(f"the batch size must be at least 1, not {batch_size}")
    chosen = choose_device(device, name, runs_on_cuda, obstacle)
    if chosen != "cpu":
        make_cudnn_deterministic()
    if precision == "auto":
        precision = "float16" if measured and chosen != "cpu" else "float32"
    return Placement(chosen, precision, batch_size, cuda_graphs)


def choose_device(requested: str, name: str, runs_on_cuda: bool, obstacle: str = NO_GPU_VERSION) -> str:
    """Choose the device of the model `name`: `cpu` or `cuda:i`.

    `auto` is the first GPU if there is one and the model can use it, otherwise the CPU. A requested GPU
    that is missing is an error, never a fallback. A model without a GPU version runs on the CPU with a
    warning (`facerec.models.check_device` refuses a GPU that no model can use).

    Args:
        obstacle: why the model cannot use a GPU, as a predicate.

    Raises:
        ModelError: `requested` is not a device, or is a GPU that torch does not find.
    """
    if not DEVICE.fullmatch(requested):
        raise ModelError(f"device {requested!r} is not one of auto, cpu, cuda, cuda:0, cuda:1, …")
    if requested == "cpu" or (requested == "auto" and not runs_on_cuda):
        return "cpu"
    import torch

    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if requested == "auto":
        if not found and gpu_allocated():
            raise ModelError(
                f"SLURM allocated a GPU to this task on {host()}, but torch finds none (try nvidia-smi); "
                f"{option('--device', 'cpu')} runs on the CPU"
            )
        return "cuda:0" if found else "cpu"
    index = int(requested.partition(":")[2] or 0)
    if index >= found:
        raise ModelError(
            f"device {requested} was requested, but torch finds {found} GPUs here; use "
            f"{option('--device', 'auto')} or cpu"
        )
    if not runs_on_cuda:
        logging.warning("%s %s: it runs on the CPU, not on device %s", name, obstacle, requested)
        return "cpu"
    return f"cuda:{index}"


@cache
def onnx_has_cuda() -> bool:
    """Return whether ONNX Runtime's CUDA provider is installed here."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def gpu_allocated() -> bool:
    """Return whether SLURM allocated a GPU to the job or step that this process belongs to."""
    return any(os.environ.get(name) for name in ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS"))


def make_cudnn_deterministic() -> None:
    """Make cuDNN deterministic and exact in float32, for the whole process.

    By default it rounds float32 to TF32 and may choose algorithms by timing them. The setting is global
    because the models of a pipeline run in parallel threads.
    """
    import torch

    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False


def limit_threads() -> None:
    """Limit OpenCV to `cpu_threads()` threads and torch's operators to one.

    By default both use every core of the machine, whatever SLURM allocated to this task. `parallel_map`
    uses the cores instead of torch.
    """
    import cv2

    cv2.setNumThreads(cpu_threads())
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def parallel_map(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Apply `work` to each item in `cpu_threads()` threads, each of which runs torch on one core.

    torch would split every operator over the cores, which then wait (spinning) for the slowest at each of
    hundreds of layers: if decoding or another job takes a core for a moment, that is ten times slower. It
    also makes the last bits depend on the number of cores; this does not.

    Returns:
        The results in the order of `items`.
    """
    return list(_threads().map(work, items))


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cpu_threads(), "model", initializer=limit_threads)
