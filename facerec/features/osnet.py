"""OSNet (Zhou et al., "Omni-scale feature learning for person re-identification", 2019) as an ONNX file.

Any network with torchreid's preprocessing may be given: pictures of 256x128 pixels, RGB, with ImageNet's mean
and standard deviation, and one vector for each. It runs on the CPU, each picture alone and on one core, in
parallel threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Resampling

from facerec.errors import ModelError, NonFiniteError
from facerec.features.pictures import MEAN, STD, resize
from facerec.geometry import Image
from facerec.models.base import check_finite, pad_batch, split_into_batches
from facerec.models.device import Placement, onnx_has_cuda, parallel_map
from facerec.models.loading import check_onnx, onnx_session
from facerec.models.weights import WeightFiles

SIZE = (256, 128)  # height and width of the input, unless the file states another
# Above it two boxes are not linked. With OSNet x0.25 trained on MSMT17, 99 % of the pairs of boxes of one
# person, 1 to 8 frames apart, were closer than 0.21 (in the worst of three clips 0.28), and 99 % of those of
# two people in one frame farther than 0.23.
MAX_COSINE_DISTANCE = 0.23


class OSNet:
    """A `PersonEmbedder` on the CPU.

    Args:
        found: the ONNX file.
        placement: the device; a GPU needs onnxruntime-gpu.

    Raises:
        ModelError: the file is not an embedder of pictures.
        NonFiniteError: its embedding of a black picture has NaN or infinite numbers.
    """

    max_distance: float | None = (2 * MAX_COSINE_DISTANCE) ** 0.5

    def __init__(self, found: WeightFiles, placement: Placement) -> None:
        self.card = found.card
        path = found.paths[0]
        self._session = onnx_session(path, threads=1, device=placement.device if onnx_has_cuda() else "cpu")
        shape, _ = check_onnx(path, self._session, inputs=1, outputs=1)
        height, width = (
            side if isinstance(side, int) and side > 0 else default
            for side, default in zip(shape[2:], SIZE, strict=True)
        )
        self._size = height, width
        # Threads take one batch each: one picture, or the file's fixed batch size, padded.
        self._network_batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else 1
        self._input = self._session.get_inputs()[0].name
        try:
            vectors = self._run([np.zeros((height, width, 3), np.uint8)])
        except NonFiniteError:
            raise
        except Exception as error:  # onnxruntime raises a dozen types
            reason = str(error).splitlines()[0][:120]
            raise ModelError(f"{path}: cannot embed a picture: {reason}") from error
        if vectors.ndim != 2:
            raise ModelError(
                f"{path}: returns an array of shape {vectors.shape} instead of one vector for each picture"
            )
        self.dimension = vectors.shape[1]

    def embed(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        """Embed pictures of persons; return (n, dimension) float32, not normalised."""
        found = parallel_map(self._run, split_into_batches(pictures, self._network_batch))
        return np.concatenate([np.empty((0, self.dimension), np.float32), *found])

    def _run(self, pictures: Sequence[Image]) -> NDArray[np.float32]:
        height, width = self._size
        resized = [resize(picture, width, height, Resampling.BILINEAR) for picture in pictures]
        batch = pad_batch(resized, self._network_batch)
        pixels = (batch - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        vectors: NDArray[np.float32] = self._session.run(None, {self._input: pixels})[0]
        vectors = vectors[: len(pictures)].astype(np.float32)
        check_finite(self.card, "float32", embeddings=vectors)
        return vectors
