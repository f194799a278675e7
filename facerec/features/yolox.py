"""YOLOX (Ge et al., "YOLOX: exceeding YOLO series in 2021"), any size of it, as an ONNX file, on the CPU.

The files that the authors publish return their raw output. It is decoded as in their demo: a cell of the
levels of strides 8, 16 and 32 gives a box by its offset from the cell and the logarithm of its size, both in
strides.

Each frame is processed alone and on one core, in parallel threads: its result depends neither on the batch
nor on the number of cores.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.features.person_boxes import make_boxes, suppress
from facerec.geometry import Image
from facerec.models.base import check_finite
from facerec.models.device import Placement, onnx_has_cuda, parallel_map
from facerec.models.loading import check_onnx, onnx_session
from facerec.models.weights import WeightFiles
from facerec.support.limits import cpu_threads

STRIDES = (8, 16, 32)  # pixels between the cells of the three levels
NMS_IOU = 0.45  # as in the authors' demo
PADDING = 114  # grey level around a frame, as in training
PERSON = 0  # class of COCO
_CLASSES = 80  # of COCO


class YOLOX:
    """A `PersonDetector` on the CPU.

    Args:
        found: the ONNX file.
        placement: its batch size, and the device; a GPU needs onnxruntime-gpu.
        threshold: minimum score, 0..1.

    Raises:
        ModelError: the file is not YOLOX for the classes of COCO.
    """

    def __init__(self, found: WeightFiles, placement: Placement, *, threshold: float) -> None:
        self.card = found.card
        self.batch_size = placement.batch_size or 2 * cpu_threads()
        self._threshold = threshold
        path = found.paths[0]
        self._session = onnx_session(path, threads=1, device=placement.device if onnx_has_cuda() else "cpu")
        shape, _ = check_onnx(path, self._session, inputs=1, outputs=1)
        sides = [side for side in shape[2:] if isinstance(side, int) and side > 0 and side % STRIDES[-1] == 0]
        if len(sides) != 2 or (isinstance(shape[0], int) and shape[0] != 1):
            raise ModelError(
                f"{path}: takes pictures of shape {shape}; a YOLOX of a fixed size (multiples of "
                f"{STRIDES[-1]}) and of one picture at once is needed"
            )
        self._height, self._width = sides
        self._cells = cells(self._height, self._width)
        self._input = self._session.get_inputs()[0].name
        expected = (1, len(self._cells), 5 + _CLASSES)
        try:
            output = self._run(np.zeros((self._height, self._width, 3), np.uint8))
        except Exception as error:  # onnxruntime raises a dozen types
            raise ModelError(f"{path}: cannot run: {str(error).splitlines()[0][:120]}") from error
        if output.shape != expected:
            raise ModelError(
                f"{path}: returns an array of shape {output.shape} instead of {expected}: not the undecoded "
                f"output of a YOLOX for the {_CLASSES} classes of COCO"
            )

    def detect(self, frames: Sequence[Image]) -> list[NDArray[np.float32]]:
        """Find the persons in each of `frames`."""
        return parallel_map(self._detect, frames)

    def _detect(self, frame: Image) -> NDArray[np.float32]:
        letterboxed, scale = letterbox(frame, self._height, self._width)
        output = self._run(letterboxed)[0]
        check_finite(self.card, "float32", boxes=output[:, :4], scores=output[:, 4:])
        boxes, scores = decode(output, self._cells)
        candidates = np.flatnonzero(scores >= self._threshold)
        boxes, scores = boxes[candidates] / np.float32(scale), scores[candidates]
        check_finite(self.card, "float32", boxes=boxes)  # the exponential of a size may overflow
        kept = suppress(boxes, scores, NMS_IOU)
        return make_boxes(boxes[kept], scores[kept], frame.shape[:2])

    def _run(self, picture: Image) -> NDArray[np.float32]:
        """Run the network over a picture of its size; (1, cells, 5 + classes)."""
        pixels = picture[None, :, :, ::-1].transpose(0, 3, 1, 2).astype(np.float32)  # BGR, 0..255
        output: NDArray[np.float32] = self._session.run(None, {self._input: np.ascontiguousarray(pixels)})[0]
        return output


def letterbox(frame: Image, height: int, width: int) -> tuple[Image, float]:
    """Scale a frame so that it just fits, put it into the upper left corner and fill the rest with grey.

    Returns:
        (height, width, 3) RGB, and the pixels of it per pixel of the frame.
    """
    scale = min(height / frame.shape[0], width / frame.shape[1])
    rows, columns = max(1, int(frame.shape[0] * scale)), max(1, int(frame.shape[1] * scale))
    filled = np.full((height, width, 3), PADDING, np.uint8)
    filled[:rows, :columns] = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return filled, scale


def cells(height: int, width: int) -> NDArray[np.float32]:
    """Return the cells of an input of `height` x `width` pixels: (c, 3) column, row and stride of each."""
    levels = []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride].reshape(2, -1)
        levels.append(np.stack([columns, rows, np.full_like(rows, stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)


def decode(
    output: NDArray[np.float32], cells: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Decode the output of the network for one picture.

    Args:
        output: (c, 5 + classes): x, y, width, height, objectness, probability of each class.
        cells: (c, 3), see `cells`.

    Returns:
        (c, 4) boxes x1, y1, x2, y2 in pixels of the network's input; (c,) scores of the class person.
    """
    stride = cells[:, 2:]
    centres = (output[:, :2] + cells[:, :2]) * stride
    with np.errstate(over="ignore"):  # infinite: the caller checks
        half = np.exp(output[:, 2:4]) * stride / 2
    return np.hstack([centres - half, centres + half]), output[:, 4] * output[:, 5 + PERSON]
