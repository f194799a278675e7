"""YuNet (Wu et al., "YuNet: a tiny millisecond-level face detector", 2023) through OpenCV, on the CPU.

A frame is processed alone, so that what is found in it cannot depend on its batch. OpenCV runs this
network on one core however many it may use, so frames are spread over threads, each with its own network.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from facerec.errors import ModelError
from facerec.models.base import Detections, Image, finished
from facerec.models.device import Placement, cpu_threads, spread
from facerec.models.loading import check_onnx
from facerec.models.weights import Found

NMS_IOU = 0.3  # the OpenCV Zoo's
MAX_FACES = 5000
# Pixels to which the smallest wanted face may be reduced. On real film that lost none of 91 faces (60
# pixels to 40) and 1 of 62 (80 to 40); to 30 pixels it lost 10 of 91, blurred ones, to 20 more.
SAFE_SIZE = 40


class YuNet:
    """A `Detector`.

    Args:
        found: its ONNX file.
        placement: not of interest; OpenCV runs it on the CPU.
        min_face_size: pixels; smaller faces are dropped. Above `SAFE_SIZE` the frame is reduced, and
            the cost goes with the inverse square.
        face_threshold: least score, 0..1.

    Raises:
        ModelError: the file is another model.
    """

    def __init__(
        self, found: Found, placement: Placement, *, min_face_size: float, face_threshold: float
    ) -> None:
        self.card = found.card
        self.batch_size = placement.batch_size or max(8, 2 * cpu_threads())
        self.min_face_size, self._face_threshold = min_face_size, face_threshold
        path = found.paths[0]
        _, outputs = check_onnx(path, inputs=1, outputs=12)
        if {name.rpartition("_")[0] for name in outputs} != {"cls", "obj", "bbox", "kps"}:
            raise ModelError(f"{path}: an ONNX model, but not YuNet: it gives {', '.join(outputs[:4])}, …")
        self._path, self._model = path, np.frombuffer(path.read_bytes(), np.uint8)
        self._mine = threading.local()
        self._net((320, 320))

    def _net(self, size: tuple[int, int]) -> Any:
        """This thread's network, for frames of `size` (width, height)."""
        mine = self._mine
        if not hasattr(mine, "net"):
            level = cv2.utils.logging.setLogLevel(
                2
            )  # errors: OpenCV 5 warns of a setting that it makes itself
            try:  # by a path OpenCV would go by the name's ending
                mine.net = cv2.FaceDetectorYN.create(
                    "onnx", self._model, np.empty(0, np.uint8), size, self._face_threshold, NMS_IOU, MAX_FACES
                )
            except cv2.error as error:
                raise ModelError(
                    f"{self._path}: OpenCV {cv2.__version__} cannot open it; YuNet of May 2026 fits"
                ) from error
            finally:
                cv2.utils.logging.setLogLevel(level)
            mine.size = size
        if mine.size != size:
            mine.size = size
            mine.net.setInputSize(size)
        return mine.net

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `frames`."""
        return spread(self._detect, frames)

    def _detect(self, frame: Image) -> Detections:
        height, width = frame.shape[:2]
        scale = min(1.0, SAFE_SIZE / self.min_face_size)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = frame if scale == 1 else cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        _, rows = self._net(size).detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        found = np.empty((0, 15), np.float32) if rows is None else rows
        found[:, :14] *= np.array([width / size[0], height / size[1]] * 7, np.float32)
        boxes = np.hstack([found[:, :2], found[:, :2] + found[:, 2:4]])
        keypoints = found[:, 4:14].reshape(-1, 5, 2)
        return finished(boxes, found[:, 14], keypoints, (height, width), self.min_face_size)
