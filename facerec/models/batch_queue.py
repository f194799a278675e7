"""Batches on a GPU: one is computed while the next is copied there and the results of the last come back.

Copies to the GPU, computation and copies back have a stream each, and events between them. The host waits
for a batch once, when its results are taken, and sleeps while it waits, because decoders need the cores.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Form = TypeVar("Form")
Result = TypeVar("Result")
Array = NDArray[np.uint8]
Compute = Callable[[Tensor], tuple[Tensor, Tensor | None]]

DEPTH = 2  # batches on the GPU at a time
COPY, COMPUTE, RESULTS = LANES = ("copy", "compute", "results")
WARM_UP = 2  # runs before a CUDA graph is recorded, in which libraries allocate their memory
FORMS = 2  # kinds of batches for which memory is kept: planes and RGB, say


class Gpu:
    """The streams of one model on a GPU.

    Args:
        device: a CUDA device, to which the model has been moved.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        stream: Any = torch.cuda.Stream
        self._streams = {lane: stream(device) for lane in LANES}
        torch.cuda.synchronize(device)  # these streams do not wait for the copies of the weights

    def lane(self, name: str) -> AbstractContextManager[Any]:
        """Return a context in which work goes to the stream `name`."""
        return torch.cuda.stream(self._streams[name])

    def record(self, lane: str) -> Any:
        """Return an event that happens when all work given to `lane` so far is done."""
        # blocking: the host sleeps while it waits, and does not spin
        event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record(self._streams[lane])
        return event

    def wait(self, lane: str, event: Any) -> None:
        """Make later work of `lane` wait for an event; the host goes on."""
        self._streams[lane].wait_event(event)

    def finish(self, event: Any) -> None:
        """Make the host wait for an event."""
        event.synchronize()

    def host_memory(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """Allocate page-locked memory, from and to which the GPU copies by itself."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def capture(self, compute: Compute, source: Tensor) -> Compute:
        """Record the work of `compute` on `source` as a CUDA graph; return a function that repeats it."""
        stream = self._streams[COMPUTE]
        with self.lane(COMPUTE):
            for _ in range(WARM_UP):
                compute(source)
        graph = torch.cuda.CUDAGraph()
        # thread_local: the embedder's thread goes on using the GPU
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            results = compute(source)

        def replay(_: Tensor) -> tuple[Tensor, Tensor | None]:
            graph.replay()
            return results

        return replay

    def release_memory(self) -> None:
        """Give memory that no tensor uses back to the GPU."""
        torch.cuda.empty_cache()


class Ticket(Generic[Result]):
    """The results of a batch that was submitted."""

    def __init__(self, collect: Callable[[], Result]) -> None:
        self._collect: Callable[[], Result] | None = collect
        self._result: Result | None = None
        self._error: Exception | None = None

    def collect(self) -> None:
        """Wait for the batch; keep its results, or its error, for `result`."""
        if self._collect is None:
            return
        try:
            self._result = self._collect()
        except Exception as error:
            self._error = error
        self._collect = None

    def result(self) -> Result:
        """Wait for the batch and return its results; raises what computing them raised."""
        self.collect()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # collected


@dataclass
class _Slot:
    """Memory of one batch: its copy on the GPU, and page-locked memory for its source and its results.

    Attributes:
        source: None until a batch comes that is not in page-locked memory itself.
    """

    input: Tensor
    compute: Compute
    source: Tensor | None = None
    results: Tensor | None = None
    ticket: Ticket[Any] | None = None


class BatchQueue(Generic[Form, Result]):
    """Runs a network on batches of one size, `DEPTH` at a time; for one thread.

    Args:
        gpu: its streams.
        compute: maps a batch (size, …) uint8 on the GPU and its form to its results (size, …) float32, which
            come back, and to a tensor that stays there, or None. Must not wait for the GPU.
        finish: makes the result of a batch from its number of items, its form, and what `compute` returned.
        graphs: record the work once as a CUDA graph and repeat that, which saves the host's work for each
            operation. The same operations give the same bits.

    Attributes:
        gpu: as given.
    """

    def __init__(
        self,
        gpu: Gpu,
        compute: Callable[[Tensor, Form], tuple[Tensor, Tensor | None]],
        finish: Callable[[int, Form, NDArray[np.float32], Tensor | None], Result],
        graphs: bool = False,
    ) -> None:
        self.gpu, self._compute, self._finish, self._graphs = gpu, compute, finish, graphs
        self._slots: dict[Hashable, deque[_Slot]] = {}

    @torch.inference_mode()
    def submit(self, items: Sequence[Array] | Array, size: int, form: Form) -> Ticket[Result]:
        """Start a batch; waits only if `DEPTH` batches are on the GPU already.

        Args:
            items: at most `size` arrays of one shape. An array (n, …) in page-locked memory is not copied by
                the host, and must not change before the results are taken.
            size: of the batch; the rest is zeros.
            form: what else the work depends on; hashable.

        Raises:
            torch.OutOfMemoryError: the batch does not fit the GPU's memory.
        """
        gpu, count = self.gpu, len(items)
        slot = self._free_slot((size, *items[0].shape), form)
        source = _page_locked(items)
        if source is None:
            if slot.source is None:
                slot.source = gpu.host_memory(slot.input.shape, torch.uint8)
            source = _fill(slot.source, items)
        with gpu.lane(COPY):
            slot.input[:count].copy_(source, non_blocking=True)
            if count < size:
                slot.input[count:].zero_()
        gpu.wait(COMPUTE, gpu.record(COPY))
        with gpu.lane(COMPUTE):
            results, kept = slot.compute(slot.input)
        gpu.wait(RESULTS, gpu.record(COMPUTE))
        if slot.results is None:
            slot.results = gpu.host_memory(results.shape, results.dtype)
        target = slot.results
        with gpu.lane(RESULTS):
            target.copy_(results, non_blocking=True)
        done = gpu.record(RESULTS)

        def collect(_alive: object = (source, results)) -> Result:
            gpu.finish(done)
            return self._finish(count, form, target.numpy().copy(), kept)

        slot.ticket = ticket = Ticket(collect)
        return ticket

    def clear(self) -> None:
        """Wait for all batches and release their memory; their results can still be taken."""
        for slots in self._slots.values():
            for slot in slots:
                if slot.ticket is not None:
                    slot.ticket.collect()
        self._slots.clear()
        self.gpu.release_memory()

    def _free_slot(self, shape: tuple[int, ...], form: Form) -> _Slot:
        """Return the slot that was used least recently, after its batch is done."""
        key = shape, form
        if key not in self._slots and len(self._slots) == FORMS:
            self.clear()
        slots = self._slots.setdefault(key, deque())
        if len(slots) < DEPTH:
            slots.append(self._new_slot(shape, form))
        else:
            slots.rotate(-1)
        slot = slots[-1]
        if slot.ticket is not None:
            slot.ticket.collect()
            slot.ticket = None
        return slot

    def _new_slot(self, shape: tuple[int, ...], form: Form) -> _Slot:
        gpu = self.gpu
        with gpu.lane(COMPUTE):
            device_input = torch.zeros(shape, dtype=torch.uint8, device=gpu.device)
        gpu.wait(COPY, gpu.record(COMPUTE))  # not before it is zeroed
        compute = partial(self._compute_form, form)
        return _Slot(device_input, gpu.capture(compute, device_input) if self._graphs else compute)

    def _compute_form(self, form: Form, batch: Tensor) -> tuple[Tensor, Tensor | None]:
        return self._compute(batch, form)


def _page_locked(items: Sequence[Array] | Array) -> Tensor | None:
    """Return an array as a tensor if it is contiguous and in page-locked memory, else None."""
    if not isinstance(items, np.ndarray) or not items.flags.c_contiguous:
        return None
    batch = torch.from_numpy(items)
    return batch if batch.is_pinned() else None


def _fill(source: Tensor, items: Sequence[Array] | Array) -> Tensor:
    """Copy `items` to the beginning of `source`; return that part."""
    part = source[: len(items)]
    for target, item in zip(part.numpy(), items, strict=True):
        np.copyto(target, item)
    return part
