"""Memory that is too small for a batch: as errors of one line, and smaller batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from facerec.errors import ModelError
from facerec.support.atomic import host

Item = TypeVar("Item")
Result = TypeVar("Result")

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
    with _oom_as(lambda: _too_little_memory(what, batch_size)):
        yield


@contextmanager
def host_memory_as_model_error(batch_size: int) -> Iterator[None]:
    """As `oom_as_model_error`, for page-locked memory of the host for a batch.

    Raises:
        ModelError: the memory is too small.
    """
    with _oom_as(
        lambda: ModelError(
            f"{host()} has too little memory that can be page-locked for batches of {batch_size}; try "
            f"--batch-size {max(1, batch_size // 2)}, or request more memory"
        )
    ):
        yield


@contextmanager
def _oom_as(model_error: Callable[[], ModelError]) -> Iterator[None]:
    """Raise `model_error()` in place of an out-of-memory error in the block."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise model_error() from error
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
