"""Any ArcFace-style embedder (Deng et al., "ArcFace", 2019) in an ONNX file, on the CPU.

How a file is fed is said by the `FILE.toml` beside it (`feed.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.geometry import Image
from facerec.models.align import align
from facerec.models.base import normalize_rows, pad_batch, split_into_batches
from facerec.models.device import Placement, parallel_map
from facerec.models.feed import read_feed
from facerec.models.loading import check_onnx, onnx_session
from facerec.models.weights import WeightFiles

# Where the five keypoints lie in a crop of 112 x 112: insightface's face_align.py, used by all its models.
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


class ArcFace:
    """An `Embedder`.

    Args:
        found: the ONNX file.
        placement: not of interest; the network runs on the CPU.

    Raises:
        ModelError: the file is no embedder, or its `FILE.toml` does not fit it.
    """

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        self.card = found.card
        path = found.paths[0]
        self._feed = read_feed(path)
        self.same_person = self._feed.same_person
        self._session = onnx_session(path, threads=1)
        shape, _ = check_onnx(path, self._session, inputs=1, outputs=1)
        for side, wanted in zip(shape[2:], self._feed.size, strict=True):
            if isinstance(side, int) and side != wanted:
                said = f"{path.name}.toml says {list(self._feed.size)}"
                raise ModelError(f"{path}: takes crops of {shape[2:]}, and {said}")
        # Crops are spread over threads, one at a time unless the file insists on more, which are filled up:
        # so a crop's vector is the same bits whatever shares its batch and however many cores there are.
        self._at_once = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 1
        self._input = self._session.get_inputs()[0].name
        blank = np.zeros((*self._feed.size, 3), np.uint8)
        self.dimension = 0
        try:
            vectors = self._run([blank])
        except Exception as error:
            raise ModelError(f"{path}: cannot embed a crop: {str(error).splitlines()[0][:120]}") from error
        if vectors.ndim != 2:
            raise ModelError(f"{path}: gives an array of shape {vectors.shape}, no vector a crop")
        self.dimension = vectors.shape[1]

    def crop(self, frame: Image, box: NDArray[np.float32], keypoints: NDArray[np.float32]) -> Image:
        """Cut a face out of `frame` such that its `keypoints` lie on the template; `box` is not used."""
        size = self._feed.size
        return align(frame, keypoints, TEMPLATE * np.array(size[::-1]) / 112, size)

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """(n, dimension) float32 unit vectors."""
        found = parallel_map(self._run, split_into_batches(crops, self._at_once))
        return normalize_rows(np.concatenate([np.empty((0, self.dimension), np.float32), *found]))

    def _run(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        pixels = pad_batch(crops, self._at_once)
        if self._feed.channels == "BGR":
            pixels = pixels[..., ::-1]
        mean, std = np.array(self._feed.mean, np.float32), np.array(self._feed.std, np.float32)
        fed = np.ascontiguousarray(((pixels - mean) / std).transpose(0, 3, 1, 2))
        vectors: NDArray[np.float32] = self._session.run(None, {self._input: fed})[0]
        return vectors[: len(crops)].astype(np.float32)
