"""Applies a network to windows of frames on its device, in batches, each window the same in any batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from facerec.features.base import Arrays, group_by_shape
from facerec.models.base import ModelCard, check_finite, split_into_batches
from facerec.models.device import Placement, parallel_map
from facerec.models.memory import BatchSize, map_batches, oom_as_model_error, release_gpu_memory
from facerec.support.limits import cpu_threads

Item = TypeVar("Item")
Result = TypeVar("Result")
Forward = Callable[[torch.Tensor], Sequence[torch.Tensor]]


class WindowNetwork:
    """A network of windows of frames on a GPU or CPU.

    Args:
        network: with its weights, for inference.
        card: of its weights.
        placement: device, precision and windows in a batch (default: `gpu_batch`, or `cpu_batch` in each CPU
            thread).
        gpu_batch: default windows in a batch on a GPU.
        mean, std: of pixel values 0..255, RGB.
        cpu_batch: default windows in a batch in each CPU thread. More of them read the weights less often but
            may change the last bits, which then depend on how windows meet in a batch.

    Attributes:
        batch_size: best number of windows for one call of `apply`.
        network: on its device.
    """

    def __init__(
        self,
        network: nn.Module,
        card: ModelCard,
        placement: Placement,
        gpu_batch: int,
        mean: Sequence[float],
        std: Sequence[float],
        cpu_batch: int = 1,
    ) -> None:
        self._card, self._precision = card, placement.precision
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._on_cpu = self._device.type == "cpu"
        self._network_batch = BatchSize(placement.batch_size or (cpu_batch if self._on_cpu else gpu_batch))
        self._mean, self._std = (
            torch.tensor(values, dtype=torch.float32, device=self._device)[:, None, None, None]
            for values in (mean, std)
        )
        self.batch_size = self._network_batch.value * (cpu_threads() if self._on_cpu else 1)
        self.network = network.to(self._device, self._type)

    def apply(
        self, windows: Sequence[Sequence[NDArray[Any]]], names: Sequence[str], forward: Forward
    ) -> list[Arrays]:
        """Compute arrays from windows of pictures.

        Args:
            windows: frames (height, width, 3) uint8 RGB; sizes may differ among windows.
            names: of the arrays.
            forward: computes the arrays (n, …) of a batch (n, 3, frames, height, width), normalised.

        Returns:
            For each window its row of each array, float32.

        Raises:
            NonFiniteError: a result is NaN or infinite.
        """

        def compute(batch: Sequence[NDArray[Any]]) -> list[Arrays]:
            arrays = self.compute(np.asarray(batch), names, forward)
            return [{name: array[k] for name, array in arrays.items()} for k in range(len(batch))]

        def compute_all(stacked: NDArray[Any]) -> list[Arrays]:
            return self.map_batches(compute, cast("Sequence[NDArray[Any]]", stacked))

        return group_by_shape(windows, compute_all)

    def map_batches(
        self, work: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item]
    ) -> list[Result]:
        """Apply `work` to batches of `items`, on a CPU in all threads; return the results of all in order."""
        size, item = self._network_batch, f"a window of {self._card.kind}"
        if self._on_cpu:
            some = min(size.value, -(-len(items) // cpu_threads()))  # work for all threads
            with oom_as_model_error(item, some):
                found = parallel_map(work, split_into_batches(items, some))
        else:
            found = map_batches(work, items, size, item, release_gpu_memory)
        return [result for results in found for result in results]

    @torch.inference_mode()
    def compute(
        self, batch: NDArray[np.uint8], names: Sequence[str], forward: Forward
    ) -> dict[str, NDArray[np.float32]]:
        """Compute arrays from one batch, (n, frames, height, width, 3) RGB; otherwise like `apply`.

        Returns:
            The arrays that `forward` returned.
        """
        pixels = torch.from_numpy(batch).to(self._device).permute(0, 4, 1, 2, 3).float()
        outputs = forward(((pixels - self._mean) / self._std).to(self._type))
        named = {name: output.float() for name, output in zip(names, outputs, strict=True)}
        check_finite(self._card, self._precision, **named)
        return {name: output.cpu().numpy() for name, output in named.items()}
