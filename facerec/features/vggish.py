"""`vggish`: VGGish (Hershey et al., "CNN architectures for large-scale audio classification", 2017).

The network reads a log-mel spectrum of 0.96 seconds. The definition follows the paper's configuration A
with the names of the public PyTorch port (harritaylor/torchvggish), so that its weights load. As there, the
embedding is taken after the last ReLU, and neither whitened by PCA nor quantised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facerec.errors import ModelError
from facerec.features import spectra
from facerec.features.base import FEATURES, Arrays, Options
from facerec.features.sound import extract
from facerec.models.base import check_finite, split_into_batches
from facerec.models.device import Placement, parallel_map
from facerec.models.fused import use_winograd_convolutions
from facerec.models.loading import load_state
from facerec.models.memory import BatchSize, map_batches, oom_as_model_error, release_gpu_memory
from facerec.models.weights import WeightFiles
from facerec.support.limits import cpu_threads
from facerec.video.sound import Samples

BLOCKS = ((64,), (128,), (256, 256), (512, 512))  # channels of the convolutions before each pooling
LAYERS = (64, 128, 256, 512, 128)  # features of layer_0 to layer_4
HIDDEN, DIMENSION = 4096, 128
CPU_BATCH, GPU_BATCH = 8, 64  # examples; each thread of a CPU has a batch of its own


class VGGishNetwork(nn.Module):
    """The network: (n, 1, 96, 64) to the outputs of its five parts."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for block in BLOCKS:
            for outputs in block:
                layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(inplace=True)]
                channels = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        flat = channels * (spectra.EXAMPLE_FRAMES // 16) * (spectra.MELS // 16)
        sizes = (flat, HIDDEN, HIDDEN, DIMENSION)
        parts = [(nn.Linear(sizes[k], sizes[k + 1]), nn.ReLU(inplace=True)) for k in range(3)]
        self.embeddings = nn.Sequential(*(layer for part in parts for layer in part))

    def forward(self, examples: Tensor) -> list[Tensor]:
        """Compute the mean output of each block of convolutions over time and frequency, and the embedding.

        Returns:
            (n, 64), (n, 128), (n, 256), (n, 512) and (n, 128).
        """
        outputs = []
        x = examples
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                outputs.append(x.mean(dim=(2, 3)))
        flat = x.permute(0, 2, 3, 1).flatten(1)  # channels last, as in the first, TensorFlow, implementation
        return [*outputs, self.embeddings(flat)]


class VGGish:
    """Embeddings of sound, one row each 0.96 seconds, (m, 128); a `SoundExtractor`.

    m is (n - 240) // 15360 of n samples; a clip of less than 0.975 seconds is padded with silence to one row.

    Args:
        files: the network's weights.
        placement: device, precision and examples in a batch (default: 64 on a GPU, 8 in each CPU thread).
        options: `layers` of 0 to 4 gives `layer_0` … with 64, 128, 256, 512 and 128 features, averaged over
            time and frequency inside an example; `reduce` gives one row, the mean of the examples.

    Raises:
        ModelError: the file is not this network's weights, or there is no such layer.
    """

    name = "vggish"
    sample_rate = spectra.RATE
    transposed = False
    sampling: ClassVar[Mapping[str, Any]] = {
        "sample_rate": spectra.RATE,
        "window": spectra.EXAMPLE_SAMPLES / spectra.RATE,
        "step": spectra.EXAMPLE_HOP / spectra.RATE,
    }

    def __init__(self, files: Sequence[WeightFiles], placement: Placement, options: Options) -> None:
        self.cards = tuple(file.card for file in files)
        self._layers = options.layers
        if self._layers is not None and not set(self._layers) <= set(range(len(LAYERS))):
            given = ", ".join(map(str, self._layers))
            raise ModelError(f"{self.name} has the layers 0 to {len(LAYERS) - 1}, not {given}")
        self.arrays: tuple[str, ...] = (FEATURES,)
        if self._layers is not None:
            self.arrays = tuple(f"layer_{k}" for k in self._layers)
        self.reduce = bool(options.reduce)
        self.settings: Mapping[str, Any] = {
            **self.sampling,
            "layers": None if self._layers is None else list(self._layers),
            "reduce": self.reduce,
            "precision": placement.precision,
        }
        self._device, self._type = torch.device(placement.device), getattr(torch, placement.precision)
        self._precision = placement.precision
        self._on_cpu = self._device.type == "cpu"
        self._network_batch = BatchSize(placement.batch_size or (CPU_BATCH if self._on_cpu else GPU_BATCH))
        self.batch_size = self._network_batch.value * (cpu_threads() if self._on_cpu else 1)
        with torch.device("meta"):
            self._network = VGGishNetwork()
        load_state(files[0].paths[0], self._network, ignored=("pproc.",), checkpoint=True)
        self._network.to(self._device, self._type).to(memory_format=torch.channels_last)
        if self._on_cpu:
            use_winograd_convolutions(self._network)

    def open(self, duration: float, folder: Path | None = None) -> _Run:
        """Begin a clip."""
        return _Run(self)

    def extract(self, sound: Samples | Path | str) -> dict[str, NDArray[np.float32]]:
        """Compute the arrays of samples (n,) at 16 kHz, or of a sound file or film."""
        return extract(self, sound)

    def compute(self, examples: Sequence[Samples]) -> Arrays:
        """Compute the arrays of log-mel examples (96, 64)."""
        size, item = self._network_batch, f"an example of {self.name}"
        if self._on_cpu:
            with oom_as_model_error(item, size.value):
                found = parallel_map(self._compute, split_into_batches(examples, size.value))
        else:
            found = map_batches(self._compute, examples, size, item, release_gpu_memory)
        layers = [np.concatenate(parts) for parts in zip(*found, strict=True)]
        chosen = (len(LAYERS) - 1,) if self._layers is None else self._layers
        return {name: layers[k] for name, k in zip(self.arrays, chosen, strict=True)}

    @torch.inference_mode()
    def _compute(self, examples: Sequence[Samples]) -> list[NDArray[np.float32]]:
        batch = torch.from_numpy(np.stack(examples)[:, None]).to(self._device, self._type)
        outputs = self._network(batch.contiguous(memory_format=torch.channels_last))
        outputs = [output.float() for output in outputs]
        check_finite(self.cards[0], self._precision, features=torch.cat(outputs, dim=1))
        return [output.cpu().numpy() for output in outputs]


class _Run:
    """A `SoundRun` of `extractor`; keeps the samples of one example and a batch of examples."""

    def __init__(self, extractor: VGGish) -> None:
        self.padded = False
        self._extractor = extractor
        self._samples = np.empty(0, np.float32)  # from the first sample of the next example on
        self._examples: list[Samples] = []
        self._count = 0  # rows computed
        self._sums: dict[str, NDArray[np.float64]] = {}

    def push(self, samples: Samples) -> Sequence[Arrays]:
        """Take the next samples; return rows in batches."""
        self._samples = np.concatenate([self._samples, samples])
        blocks = []
        while len(self._samples) >= spectra.EXAMPLE_SAMPLES:
            self._examples.append(spectra.log_mel(self._samples[: spectra.EXAMPLE_SAMPLES]))
            self._samples = self._samples[spectra.EXAMPLE_HOP :]
            if len(self._examples) == self._extractor.batch_size:
                blocks += self._compute()
        return blocks

    def finish(self) -> Iterable[Arrays]:
        """Return the last rows."""
        if not self._count and not self._examples:
            self.padded = True
            missing = spectra.EXAMPLE_SAMPLES - len(self._samples)
            self._examples.append(spectra.log_mel(np.pad(self._samples, (0, missing))))
        blocks = self._compute() if self._examples else []
        if self._extractor.reduce:
            return [
                {name: (total / self._count)[None].astype(np.float32) for name, total in self._sums.items()}
            ]
        return blocks

    def _compute(self) -> list[Arrays]:
        arrays = self._extractor.compute(self._examples)
        self._count += len(self._examples)
        self._examples = []
        if not self._extractor.reduce:
            return [arrays]
        for name, rows in arrays.items():
            self._sums[name] = self._sums.get(name, 0.0) + rows.sum(axis=0, dtype=np.float64)
        return []
