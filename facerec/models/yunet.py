"""YuNet (Wu et al., "YuNet: a tiny millisecond-level face detector", 2023), on the CPU.

Runs the OpenCV Zoo's file with onnxruntime, which takes half the time of OpenCV. Its twelve outputs are
decoded as `cv2.FaceDetectorYN` does (modules/objdetect/src/face_detect.cpp); a test compares the results.

Each frame is processed alone and on one core, in parallel threads: its result depends neither on the batch
nor on the number of cores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError, NonFiniteError
from facerec.geometry import Image
from facerec.models.base import Detections, check_finite, make_detections
from facerec.models.device import Placement, cpu_threads, parallel_map
from facerec.models.loading import check_onnx, onnx_session
from facerec.models.weights import WeightFiles

STRIDES = (8, 16, 32)  # pixels between the cells of the three levels
OUTPUTS = tuple(f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
NMS_IOU = 0.3  # as in the OpenCV Zoo
# Pixels to which a face of the minimum size may be downscaled. On real film that lost 0 of 91 faces (60
# pixels to 40) and 1 of 62 (80 to 40); downscaling to 30 pixels lost 10 of 91, blurred ones, to 20 more.
SAFE_SIZE = 40


class YuNet:
    """A `Detector` on the CPU.

    Args:
        found: the ONNX file.
        placement: only its batch size is used; the network runs on the CPU.
        min_face_size: pixels; smaller faces are dropped. Above `SAFE_SIZE` frames are downscaled, and the
            time falls with the inverse square.
        face_threshold: minimum score, 0..1.

    Raises:
        ModelError: the file is not YuNet.
        NonFiniteError: it returns NaN or infinite numbers for a black frame.
    """

    def __init__(
        self, found: WeightFiles, placement: Placement, *, min_face_size: float, face_threshold: float
    ) -> None:
        self.card = found.card
        self.batch_size = placement.batch_size or max(8, 2 * cpu_threads())
        self.min_face_size, self._face_threshold = min_face_size, face_threshold
        path = found.paths[0]
        self._session = onnx_session(path, threads=1)
        _, outputs = check_onnx(path, self._session, inputs=1, outputs=len(OUTPUTS))
        if set(outputs) != set(OUTPUTS):
            raise ModelError(f"{path}: not YuNet: its outputs are {', '.join(outputs[:4])}, …")
        self._input = self._session.get_inputs()[0].name
        try:
            self.detect([np.zeros((32, 64, 3), np.uint8)])
        except NonFiniteError:
            raise
        except Exception as error:  # e.g. an older YuNet with a fixed input size
            reason = str(error).splitlines()[0][:120]
            raise ModelError(
                f"{path}: does not accept frames of any size, as YuNet of May 2026 does ({reason})"
            ) from error

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces in each of `frames`."""
        return parallel_map(self._detect, frames)

    def _detect(self, frame: Image) -> Detections:
        height, width = frame.shape[:2]
        scale = min(1.0, SAFE_SIZE / self.min_face_size)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        cells = [-(-side // STRIDES[-1]) * STRIDES[-1] for side in size]  # multiples of the coarsest stride
        edge = cells[1] - size[1], cells[0] - size[0]
        image = cv2.copyMakeBorder(image, 0, edge[0], 0, edge[1], cv2.BORDER_CONSTANT, value=(0, 0, 0))
        values = self._session.run(OUTPUTS, {self._input: cv2.dnn.blobFromImage(image, swapRB=True)})
        outputs = dict(zip(OUTPUTS, values, strict=True))
        self._check(outputs)
        rows, candidates = decode(outputs, cells[0], self._face_threshold)
        check_finite(self.card, "float32", boxes=rows)  # the exponential of a size may overflow
        saturated = 2 * candidates >= sum(outputs[f"cls_{stride}"].size for stride in STRIDES)
        rows[:, :14] *= np.array([width / size[0], height / size[1]] * 7, np.float32)
        boxes = np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])
        keypoints = rows[:, 4:14].reshape(-1, 5, 2)
        return make_detections(boxes, rows[:, 14], keypoints, (height, width), self.min_face_size, saturated)

    def _check(self, outputs: Mapping[str, NDArray[np.float32]]) -> None:
        """Check what the network returned."""
        for name, values in outputs.items():
            what = {"bbox": "boxes", "kps": "keypoints"}.get(name.partition("_")[0], "scores")
            check_finite(self.card, "float32", **{what: values})


def decode(
    outputs: Mapping[str, NDArray[np.float32]], width: int, threshold: float
) -> tuple[NDArray[np.float32], int]:
    """Decode the network's outputs for one frame, with non-maximum suppression.

    Args:
        outputs: by the names in `OUTPUTS`; c cells of each level: `cls` and `obj` (1, c, 1), whose geometric
            mean is the score, `bbox` (1, c, 4) and `kps` (1, c, 10), in cells from the cell's corner.
        width: of the network's input, in pixels.
        threshold: minimum score.

    Returns:
        (n, 15) float32: x, y, width, height, five keypoints x, y, score; best first.
        How many cells have at least the minimum score.
    """
    levels = []
    for stride in STRIDES:
        cls, obj, bbox, kps = (outputs[f"{kind}_{stride}"][0] for kind in ("cls", "obj", "bbox", "kps"))
        score = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
        found = np.flatnonzero(score >= np.float32(threshold))
        row, column = np.divmod(found, width // stride)
        cell = np.stack([column, row], axis=1).astype(np.float32)
        centre, side = (bbox[found, :2] + cell) * stride, np.exp(bbox[found, 2:]) * stride
        points = (kps[found] + np.tile(cell, 5)) * stride
        levels.append(np.hstack([centre - side / 2, side, points, score[found, None]]))
    faces = np.concatenate(levels).astype(np.float32)
    whole = faces[:, :4].astype(int).tolist()  # FaceDetectorYN suppresses boxes of whole pixels
    kept = cv2.dnn.NMSBoxes(whole, faces[:, 14].tolist(), threshold, NMS_IOU) if whole else ()
    return faces[np.asarray(kept, np.intp).reshape(-1)], len(faces)
