"""YuNet (Wu et al., "YuNet: a tiny millisecond-level face detector", 2023), on the CPU.

Runs the OpenCV Zoo's file with onnxruntime, which takes half the time of OpenCV. Its twelve outputs are
decoded as `cv2.FaceDetectorYN` does (modules/objdetect/src/face_detect.cpp); a test compares the results.

A pass finds faces up to about 600 pixels high; of a higher face it finds parts or nothing. A frame that can
hold a higher one gets a second pass, downscaled, and the large faces are taken from that (`merge_passes`).
Only such frames can have other detections than OpenCV's, and only of or in large faces.

Each frame is processed alone and on one core, in parallel threads: its result depends neither on the batch
nor on the number of cores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError, NonFiniteError
from facerec.geometry import Image, iou
from facerec.models.base import (
    Detections,
    FaceSearch,
    check_finite,
    make_detections,
    split_into_batches,
)
from facerec.models.device import Placement, parallel_map
from facerec.models.loading import check_onnx, onnx_session
from facerec.models.onnx_arrays import SIZES, OnnxArrays
from facerec.models.weights import WeightFiles
from facerec.pixels import Channels
from facerec.support.limits import cpu_threads

STRIDES = (8, 16, 32)  # pixels between the cells of the three levels
KINDS = ("cls", "obj", "bbox", "kps")
OUTPUTS = {kind: [f"{kind}_{stride}" for stride in STRIDES] for kind in KINDS}
NMS_IOU = 0.3  # as in the OpenCV Zoo
# Pixels to which a face of the minimum size may be downscaled. On real film that lost 0 of 91 faces (60
# pixels to 40) and 1 of 62 (80 to 40); downscaling to 30 pixels lost 10 of 91, blurred ones, to 20 more.
SAFE_SIZE = 40
# Measured on 12 portraits: one pass found every face up to 600 pixels, with an overlap of at least 0.84 up to
# 400. Of faces of 600 to 2,160 pixels it found parts, all but one of 409 to 740 pixels.
SINGLE_PASS = 600  # pixels; a frame that cannot hold a higher face gets one pass
FACE_ASPECT = 1.4  # height / width of a long face
LARGE = 400  # pixels; longer side of a box from which the downscaled pass decides
REDUCED = (640, 400)  # pixels of the longer and shorter side of that pass, at most
# pixels; smallest face that a pass surely finds (12 of 12 portraits; 11 of those of 20 pixels)
SURE_SIZE = 24
CONFIRMING = 0.5  # share of the minimum score with which the downscaled pass confirms a face of the full pass
# Scale of a third pass against the downscaled one. In it 32 true large faces kept a score of 0.73 or more; of
# nine false ones (a hand, a painting) seven fell below 0.6.
CHECK_SCALE = 0.4

# Frames over which the network runs before any outputs are decoded: it displaces other code from the
# processor's caches, and loading that again for each frame would take longer than running it.
GROUP = 8

Rows = NDArray[np.float32]  # (n, 15): x, y, width, height, five keypoints x, y, score


class YuNet:
    """A `Detector` on the CPU.

    Args:
        found: the ONNX file.
        placement: only its batch size is used; the network runs on the CPU.
        search: which faces to find. With a minimum size above `SAFE_SIZE` frames are downscaled, and the time
            falls with the inverse square of the size.

    Raises:
        ModelError: the file is not YuNet.
        NonFiniteError: it returns NaN or infinite numbers for a black frame.
    """

    def __init__(self, found: WeightFiles, placement: Placement, search: FaceSearch) -> None:
        self.card, self.search = found.card, search
        self._scale = min(1.0, SAFE_SIZE / search.min_face_size)
        self.takes_channels = self._scale == 1
        self.batch_size = placement.batch_size or max(8, 2 * cpu_threads())
        path = found.paths[0]
        session = onnx_session(path, threads=1)
        names = list(chain.from_iterable(OUTPUTS.values()))
        _, outputs = check_onnx(path, session, inputs=1, outputs=len(names))
        if set(outputs) != set(names):
            raise ModelError(f"{path}: not YuNet: its outputs are {', '.join(outputs[:4])}, …")
        self._network = OnnxArrays(session, OUTPUTS)
        try:
            self.detect([np.zeros((32, 64, 3), np.uint8)])
        except NonFiniteError:
            raise
        except Exception as error:  # e.g. an older YuNet with a fixed input size
            reason = str(error).splitlines()[0][:120]
            raise ModelError(
                f"{path}: does not accept frames of any size, as YuNet of May 2026 does ({reason})"
            ) from error

    def detect(self, frames: Sequence[Image | Channels]) -> list[Detections]:
        """Find the faces in each of `frames`."""
        size = max(1, min(GROUP, len(frames) // cpu_threads()))
        return list(chain.from_iterable(parallel_map(self._detect, split_into_batches(frames, size))))

    def _detect(self, frames: Sequence[Image | Channels]) -> list[Detections]:
        """Find the faces in a few frames, with the network's runs one after the other."""
        images = [_downscale(frame, self._scale) for frame in frames]
        passes = [self._run(image, index) for index, image in enumerate(images)]
        threshold = self.search.face_threshold
        found = [self._decode(outputs, size, threshold) for outputs, size in passes]
        detections = []
        for frame, image, (rows, saturated) in zip(frames, images, found, strict=True):
            if min(image.shape[0], FACE_ASPECT * image.shape[1]) > SINGLE_PASS:
                rows = self._with_large_faces(image, rows)
            rows = _rescale(rows, image, frame)
            keypoints = rows[:, 4:14].reshape(-1, 5, 2)
            size = frame.shape[0], frame.shape[1]
            detections.append(
                make_detections(
                    corners(rows), rows[:, 14], keypoints, size, self.search.min_box_size, saturated
                )
            )
        return detections

    def _run(
        self, image: Image | Channels, index: int = 0
    ) -> tuple[Mapping[str, NDArray[np.float32]], tuple[int, int]]:
        """Run the network over `image`.

        Args:
            index: of the outputs, as in `OnnxArrays.run`.

        Returns:
            Its outputs, and the height and width of its input.
        """
        height, width = image.shape[:2]
        coarsest = STRIDES[-1]  # the network takes multiples of it
        size = height + -height % coarsest, width + -width % coarsest
        arrays = self._network.arrays(*size)
        planes = arrays.input[0]
        planes[:, height:], planes[:, :, width:] = 0, 0
        for target, plane in zip(planes, reversed(arrays.split(image)), strict=True):  # BGR
            np.copyto(target[:height, :width], plane)
        return self._network.run(arrays, index), size

    def _decode(
        self, outputs: Mapping[str, NDArray[np.float32]], size: tuple[int, int], threshold: float
    ) -> tuple[Rows, bool]:
        """Decode the outputs for an input of a size.

        Returns:
            Detections with a score of at least `threshold`, and whether they are saturated, see `Detections`.
        """
        for kind, values in outputs.items():
            what = {"bbox": "boxes", "kps": "keypoints"}.get(kind, "scores")
            check_finite(self.card, "float32", **{what: values})
        rows, candidates = decode(outputs, *size, threshold)
        if candidates:
            check_finite(self.card, "float32", boxes=rows)  # the exponential of a size may overflow
        return rows, 2 * candidates >= len(outputs["cls"])

    def _with_large_faces(self, image: Image | Channels, full: Rows) -> Rows:
        """Complete the detections of a pass over `image` with those of a pass over the downscaled image.

        A large face that the full pass has not found must also be found by a third pass.
        """
        threshold, image = self.search.face_threshold, _together(image)
        scale = min(REDUCED[0] / max(image.shape[:2]), REDUCED[1] / min(image.shape[:2]))
        reduced = self._find_at(image, scale, CONFIRMING * threshold)
        doubtful = _large(reduced) & ~_same(reduced, full).any(axis=1)
        doubtful &= reduced[:, 2:4].max(axis=1) * scale * CHECK_SCALE >= SURE_SIZE
        if (doubtful & (reduced[:, 14] >= np.float32(threshold))).any():
            third = self._find_at(image, scale * CHECK_SCALE, threshold)
            reduced = reduced[~doubtful | _same(reduced, third).any(axis=1)]
        return merge_passes(full, reduced, threshold, scale)

    def _find_at(self, image: Image, scale: float, threshold: float) -> Rows:
        """Find faces in `image` at `scale`; return detections in pixels of `image`."""
        small = _downscale(image, scale)
        return _rescale(self._decode(*self._run(small), threshold)[0], small, image)


def merge_passes(full: Rows, reduced: Rows, threshold: float, scale: float) -> Rows:
    """Merge the detections of a pass over a frame with those of a pass over the downscaled frame.

    Faces of at least `LARGE` pixels are taken from the downscaled pass, smaller ones from the full pass.
    Detections of the full pass are dropped where they are

    - the same face as a large one, unless they are smaller than `LARGE` and have the better score;
    - parts of a face or false: of at least `LARGE`, or in a large face with a better score, where the
      downscaled pass sees no face, although the size is one that it surely finds.

    Args:
        full: detections with scores of at least `threshold`.
        reduced: detections with scores of at least `CONFIRMING` times `threshold`, in the same pixels.
        threshold: minimum score.
        scale: of the downscaled frame, below 1.
    """
    small, same = ~_large(full), _same(full, reduced)
    better = reduced[None, :, 14] > full[:, 14, None]
    taken = _large(reduced) & (reduced[:, 14] >= np.float32(threshold))
    taken &= ~(same & ~better & small[:, None]).any(axis=0)
    replaced = (same & taken & (better | ~small[:, None])).any(axis=1)
    unlikely = ~small | (_inside(full, reduced) & better & taken).any(axis=1)
    unlikely &= ~same.any(axis=1) & (full[:, 2:4].max(axis=1) * scale >= SURE_SIZE)
    return np.vstack([full[~replaced & ~unlikely], reduced[taken]])


def corners(rows: Rows) -> NDArray[np.float32]:
    """Return the boxes of detections as (n, 4) x1, y1, x2, y2."""
    return np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]])


def _large(rows: Rows) -> NDArray[np.bool_]:
    return np.asarray(rows[:, 2:4].max(axis=1) >= LARGE)


def _same(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Return (n, m): whether two detections are one face by the rule of non-maximum suppression."""
    return np.asarray(iou(corners(rows)[:, None], corners(others)[None]) > NMS_IOU)


def _inside(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Return (n, m): whether at least half of the area of a detection of `rows` lies in one of `others`."""
    boxes, outer = corners(rows)[:, None], corners(others)[None]
    sides = np.minimum(boxes[..., 2:], outer[..., 2:]) - np.maximum(boxes[..., :2], outer[..., :2])
    return np.asarray(np.maximum(sides, 0).prod(axis=2) >= 0.5 * rows[:, 2:4].prod(axis=1)[:, None])


def _downscale(image: Image | Channels, scale: float) -> Image | Channels:
    """Downscale `image` by averaging; at scale 1 it is returned itself."""
    if scale == 1:
        return image
    image = _together(image)
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _together(image: Image | Channels) -> Image:
    return image.image() if isinstance(image, Channels) else image


def _rescale(rows: Rows, image: Image | Channels, other: Image | Channels) -> Rows:
    """Convert detections in pixels of `image` to pixels of `other`, the same picture at another scale."""
    if image is other:
        return rows
    (height, width), (other_height, other_width) = image.shape[:2], other.shape[:2]
    ratio = np.array([other_width / width, other_height / height] * 7, np.float32)
    return np.hstack([rows[:, :14] * ratio, rows[:, 14:]])


def decode(
    outputs: Mapping[str, NDArray[np.float32]], height: int, width: int, threshold: float
) -> tuple[Rows, int]:
    """Decode the network's outputs for one frame, with non-maximum suppression.

    Args:
        outputs: of the c cells of all levels: `cls` and `obj` (c, 1), with the score as their geometric mean,
            `bbox` (c, 4) and `kps` (c, 10), in cells from the cell's corner.
        height, width: of the network's input, in pixels.
        threshold: minimum score.

    Returns:
        (n, 15) float32: x, y, width, height, five keypoints x, y, score; best first.
        How many cells have at least the minimum score.
    """
    cls, obj, bbox, kps = (outputs[kind] for kind in KINDS)
    # neither factor of a sufficient score is below its square; the margin is for rounding
    least = np.float32(0.99 * threshold * threshold) if threshold > 0 else -np.inf
    found = np.flatnonzero((cls[:, 0] >= least) & (obj[:, 0] >= least))
    score = np.sqrt(np.clip(cls[found, 0], 0, 1) * np.clip(obj[found, 0], 0, 1))
    sufficient = score >= np.float32(threshold)
    found, score = found[sufficient], score[sufficient]
    if not len(found):
        return np.empty((0, 15), np.float32), 0
    cells = _cells(height, width)[found]
    cell, stride = cells[:, :2], cells[:, 2:]
    centre, side = (bbox[found, :2] + cell) * stride, np.exp(bbox[found, 2:]) * stride
    points = (kps[found].reshape(-1, 5, 2) + cell[:, None]) * stride[:, None]
    faces = np.concatenate([centre - side / 2, side, points.reshape(-1, 10), score[:, None]], axis=1)
    whole = faces[:, :4].astype(int).tolist()  # FaceDetectorYN suppresses boxes of whole pixels
    kept = cv2.dnn.NMSBoxes(whole, faces[:, 14].tolist(), threshold, NMS_IOU)
    return faces[np.asarray(kept, np.intp).reshape(-1)], len(faces)


@lru_cache(maxsize=SIZES)
def _cells(height: int, width: int) -> NDArray[np.float32]:
    """Return column, row and stride (c, 3) of the cells of all levels of an input."""
    levels = []
    for stride in STRIDES:
        row, column = np.indices((height // stride, width // stride)).reshape(2, -1)
        levels.append(np.stack([column, row, np.full(len(row), stride)], axis=1))
    return np.concatenate(levels).astype(np.float32)
