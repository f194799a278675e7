"""Any ArcFace-style embedder (Deng et al., "ArcFace", 2019) in an ONNX file.

A `FILE.toml` beside the file states its preprocessing (`preprocessing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError, NonFiniteError
from facerec.geometry import Image
from facerec.models.align import align
from facerec.models.base import (
    VERIFICATION_SHARE,
    check_finite,
    normalize_rows,
    split_into_batches,
)
from facerec.models.device import Placement, parallel_map
from facerec.models.loading import check_onnx, onnx_session
from facerec.models.memory import BatchSize, map_batches, oom_as_model_error
from facerec.models.preprocessing import Preprocessing, read_preprocessing
from facerec.models.weights import WeightFiles
from facerec.support.limits import cpu_threads

# Keypoints x, y in a crop of 112x112 pixels, from insightface's face_align.py; all its models use them.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)

# Crops that a thread prepares before the network runs over them: it displaces other code from the processor's
# caches, and loading that again for each crop would take longer than running it.
GROUP = 16


class ArcFace:
    """An `Embedder` that runs an ONNX file.

    Args:
        found: the ONNX file.
        placement: only its device is used.

    Raises:
        ModelError: the file is not an embedder, or its `FILE.toml` does not fit it; or the device cannot be
            used.
        NonFiniteError: its embedding of a black crop has NaN or infinite numbers.
    """

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        self.card = found.card
        path = found.paths[0]
        self._preprocessing = read_preprocessing(path)
        self.same_person = self._preprocessing.same_person
        self.verification_threshold = VERIFICATION_SHARE * self.same_person
        self._session = onnx_session(path, threads=1, device=placement.device)
        shape, _ = check_onnx(path, self._session, inputs=1, outputs=1)
        for side, wanted in zip(shape[2:], self._preprocessing.size, strict=True):
            if isinstance(side, int) and side != wanted:
                stated = f"{path.name}.toml states {list(self._preprocessing.size)}"
                raise ModelError(f"{path}: takes crops of size {shape[2:]}, but {stated}")
        # Threads take one batch each: a single crop, or the file's fixed batch size, padded. So the bits of
        # an embedding depend neither on the other crops nor on the number of cores.
        self._tables = _preprocessed(self._preprocessing)
        height, width = self._preprocessing.size
        self._template = TEMPLATE * np.array([width, height]) / 112
        self._on_cpu = placement.device == "cpu"
        self._fixed = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None
        size = self._fixed or (1 if self._on_cpu else placement.batch_size or 16)
        self._batch = BatchSize(size, option="")
        self._input = self._session.get_inputs()[0].name
        blank = np.zeros((*self._preprocessing.size, 3), np.uint8)
        self.dimension = 0
        try:
            vectors = self._run([blank])
        except NonFiniteError:
            raise
        except Exception as error:
            raise ModelError(f"{path}: cannot embed a crop: {str(error).splitlines()[0][:120]}") from error
        if vectors.ndim != 2:
            raise ModelError(
                f"{path}: returns an array of shape {vectors.shape} instead of one vector for each crop"
            )
        self.dimension = vectors.shape[1]

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Align a face to the template by its `keypoints`; `box` is not used."""
        return align(frame, keypoints, self._template, self._preprocessing.size)

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Embed crops; return (n, dimension) float32 unit vectors."""
        item = "a crop of {}x{} pixels".format(*self._preprocessing.size[::-1])
        if self._on_cpu:
            size = self._batch.value
            batches = min(GROUP, -(-len(crops) // cpu_threads())) // size
            with oom_as_model_error(item, size):
                found = parallel_map(self._run, split_into_batches(crops, size * max(1, batches)))
        else:  # all of one size, as the bits may depend on it
            found = map_batches(self._run, crops, self._batch, item, lambda: None)
        return normalize_rows(np.concatenate([np.empty((0, self.dimension), np.float32), *found]))

    def _run(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Run the network over batches of one size."""
        size = self._fixed or self._batch.value
        pixels = np.empty((-(-len(crops) // size) * size, 3, *self._preprocessing.size), np.float32)
        pixels[len(crops) :] = self._tables[:, :1, None]  # black
        for crop, planes in zip(crops, pixels, strict=False):
            channels = cv2.split(crop)[:: -1 if self._preprocessing.channels == "BGR" else 1]
            for channel, table, plane in zip(channels, self._tables, planes, strict=True):
                cv2.LUT(channel, table, plane)
        batches = (pixels[begin : begin + size] for begin in range(0, len(pixels), size))
        outputs = [self._session.run(None, {self._input: batch})[0] for batch in batches]
        vectors = np.concatenate(outputs)[: len(crops)].astype(np.float32)
        check_finite(self.card, "float32", embeddings=vectors)
        return vectors


def _preprocessed(preprocessing: Preprocessing) -> NDArray[np.float32]:
    """Return what the network takes for each channel and pixel value (3, 256)."""
    mean, std = (np.array(values, np.float32) for values in (preprocessing.mean, preprocessing.std))
    tables: NDArray[np.float32] = (np.arange(256, dtype=np.uint8)[:, None] - mean) / std
    return np.ascontiguousarray(tables.T)
