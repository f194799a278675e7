"""Device, precision and batch size of a model, and the threads in which it runs on a CPU."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


# what the out-of-memory errors of torch, its libraries and onnxruntime say
_OUT_OF_MEMORY = ("out of memory", "allocate memory", "alloc_failed", "bfcarena")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory, mostly a GPU's, is too small."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, Exception) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


@contextmanager
def oom_as_model_error(what: str, batch_size: int = 1) -> Iterator[None]:
    """Turn an out-of-memory error in the block into a ModelError.

    Args:
        what: the work that needs the memory, for the message.
        batch_size: how many items the work has; the message says to try half of them.

    Raises:
        ModelError: the memory is too small.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise _too_little_memory(what, batch_size) from error
        raise


@contextmanager
def host_memory_as_model_error(batch_size: int) -> Iterator[None]:
    """As `oom_as_model_error`, for page-locked memory of the host for a batch.

    Raises:
        ModelError: the memory is too small.
    """
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise ModelError(
                f"{host()} has too little memory that can be page-locked for batches of {batch_size}; try "
                f"--batch-size {max(1, batch_size // 2)}, or request more memory"
            ) from error
        raise


def _too_little_memory(what: str, batch_size: int) -> ModelError:
    smaller = f"try --batch-size {batch_size // 2}, or take" if batch_size > 1 else "take"
    return ModelError(
        f"the memory of the device is too small for {what}; {smaller} a larger GPU, or a free one "
        "(nvidia-smi shows what other programs hold)"
    )


class BatchSize:
    """The number of items that a network gets at once; halved when the memory is too small for them.

    Args:
        option: that sets the number; empty if there is none, as for embedders.

    Attributes:
        value: the number now.
    """

    def __init__(self, value: int, option: str = "--batch-size") -> None:
        self._option = option
        self.value = self._asked = value
        self._announced = value

    def halve(self, what: str, release_memory: Callable[[], object]) -> None:
        """Halve the number after an out-of-memory error.

        Args:
            what: what one item is, for the message.

        Raises:
            ModelError: the number is 1 already.
        """
        if self.value == 1:
            raise _too_little_memory(what, 1)
        self.value //= 2
        release_memory()

    def announce(self, what: str) -> None:
        """Warn, once, that a smaller number is used; call it after a batch that fitted."""
        if self.value != self._announced:
            self._announced = self.value
            hint = f"; {self._option} {self.value} avoids the attempt" if self._option else ""
            logging.warning(
                "the memory of the device is too small for %d times %s at once: going on with %d at once%s",
                *(self._asked, what, self.value, hint),
            )


def map_batches(
    work: Callable[[Sequence[Item]], Result],
    items: Sequence[Item],
    size: BatchSize,
    what: str,
    release_memory: Callable[[], object],
) -> list[Result]:
    """Apply `work` to batches of at most `size.value` items, which is halved where memory is too small.

    Args:
        what: what one item is, for messages.
        release_memory: called before a smaller batch is tried.

    Returns:
        The results of the batches, in order.

    Raises:
        ModelError: the memory is too small for one item.
    """
    results: list[Result] = []
    begin = 0
    while begin < len(items):
        batch = items[begin : begin + size.value]
        try:
            results.append(work(batch))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        else:
            size.announce(what)
            begin += len(batch)
            continue
        size.halve(what, release_memory)  # here, because the error holds tensors
    return results


def release_gpu_memory() -> None:
    """Give memory of torch that no tensor uses back to the GPU."""
    import torch

    torch.cuda.empty_cache()


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
