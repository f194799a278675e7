"""A GPU without one: streams and events that only write down what they are asked for.

On the CPU the same code computes real results. In torch's `FakeTensorMode` tensors of the device `cuda` exist
without memory: an operation that needs a value of theirs, so that the host would wait, raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from facerec.models import batch_queue
from facerec.models.batch_queue import Compute, Gpu

WAITING = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "nms",
    "unique",
    "_unique2",
    "equal",
    "is_nonzero",
}


class FakeGpu(Gpu):
    """Writes down in `log` in which stream work is done, and which events are waited for."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.log: list[tuple[str, ...]] = []
        self.captured = self.released = 0
        self._events = 0

    @contextmanager
    def lane(self, name: str) -> Iterator[None]:
        self.log.append((name,))
        yield

    def record(self, lane: str) -> str:
        self._events += 1
        event = f"{lane} {self._events}"
        self.log.append(("record", lane, event))
        return event

    def wait(self, lane: str, event: Any) -> None:
        self.log.append(("wait", lane, event))

    def finish(self, event: Any) -> None:
        self.log.append(("finish", event))

    def host_memory(self, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        return torch.zeros(tuple(shape), dtype=dtype)

    def capture(self, compute: Compute, source: Tensor) -> Compute:
        self.captured += 1
        return compute

    def release_memory(self) -> None:
        self.released += 1


class Synchronisations(TorchDispatchMode):
    """Counts operations for which the host waits, and copies between the devices."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.partition("::")[2]
        if name in WAITING:
            self.found["wait"] += 1
        tensors = [one for one in args if isinstance(one, Tensor)]
        result = func(*args, **kwargs)
        if name == "copy_":
            self._count(
                tensors[1], tensors[0], kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
            )
        elif name == "_to_copy" and isinstance(result, Tensor):
            self._count(tensors[0], result, kwargs.get("non_blocking", False))
        return result

    def _count(self, source: Tensor, target: Tensor, non_blocking: bool) -> None:
        if source.device.type != target.device.type:
            kind = "there" if target.device.type == "cuda" else "back"
            self.found[f"{kind}{'' if non_blocking else ', waiting'}"] += 1


@contextmanager
def fake_network(module: Any) -> Iterator[None]:
    """Let a model of `module` load a network that is folded already as if it went to a GPU in float16.

    For use in `FakeTensorMode`, where neither loading weights nor moving networks works.
    """

    def load(_path: object, loaded: torch.nn.Module, **_: object) -> None:
        for part in loaded.modules():
            for name, values in part._parameters.items():
                if values is not None:
                    part._parameters[name] = torch.nn.Parameter(on_gpu(values), requires_grad=False)
            for name, values in part._buffers.items():
                if values is not None:
                    part._buffers[name] = on_gpu(values)

    def on_gpu(values: Tensor) -> Tensor:
        kind = torch.float16 if values.is_floating_point() else values.dtype
        return torch.empty(values.shape, dtype=kind, device="cuda")

    with (
        mock.patch.object(module, "load_state", load),
        mock.patch.object(module, "fold_batch_norms"),
        mock.patch.object(module, "Gpu", FakeGpu),
        mock.patch.object(torch.nn.Module, "to", lambda self, *_, **__: self),
    ):
        yield


@contextmanager
def fake_memory() -> Iterator[None]:
    """Let a `BatchQueue` leave out what the host writes into memory, in `FakeTensorMode`."""
    with mock.patch.object(batch_queue, "_fill", lambda source, items: source[: len(items)]):
        yield
