"""SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022).

Runs any ONNX file of SCRFD with keypoints, of insightface or others. The outputs are recognised by their
shapes, so neither their names nor their order matter; a test compares the results with insightface's class.

A file takes frames of one size, mostly 640x640, into which a frame is fitted, or of any size: then it is
only reduced, so that a face of the minimum size fits the smallest anchor.

Each frame is processed alone, on a CPU on one core in parallel threads: its result depends neither on the
batch nor on the number of cores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facerec.errors import ModelError
from facerec.geometry import Image
from facerec.models.base import Detections, FaceSearch, check_finite, make_detections
from facerec.models.device import Placement, parallel_map
from facerec.models.loading import check_onnx, onnx_session
from facerec.models.memory import oom_as_model_error
from facerec.models.onnx_arrays import FLOATS, SIZES, OnnxArrays, Rows
from facerec.models.suppression import suppress
from facerec.models.tiles import Level, Size, longest_face, scaled, tiled, whole
from facerec.models.weights import WeightFiles
from facerec.support.limits import cpu_threads

FIRST_STRIDE = 8  # pixels between the cells of the finest level; each further level doubles it
NMS_IOU = 0.4  # as in insightface, which adds a pixel to each side's length
STD = 128.0  # the network takes (RGB - 127.5) / 128
BLACK = -127.5 / STD
# pixels; side of the smallest anchor. Of four portraits the 2.5G network found all at 14 pixels, two at 12.
SMALLEST = 16
# pixels. Of these portraits both networks found all up to 460 pixels, two or three at 480, none from 500 on.
LARGEST = 480
LARGE = 440  # pixels; longer side of the boxes that are taken from a second, reduced pass
REDUCED = 400  # pixels; height of the highest face in that pass
MAX_SHIFT = 2.0  # pixels of the input by which x may be off as in insightface
KINDS = {1: "scores", 4: "boxes", 10: "keypoints"}  # by the numbers of a place
_TRIAL = 256  # pixels; side of the black frame that a file of free size is tried on


@dataclass(frozen=True)
class Layout:
    """What the outputs of a file are.

    Attributes:
        groups: names of the outputs of each kind, of the finest level first.
        anchors: places in a cell.
    """

    groups: Mapping[str, Sequence[str]]
    anchors: int

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between the cells of each level."""
        return tuple(FIRST_STRIDE << level for level in range(len(self.groups["scores"])))


class SCRFD:
    """A `Detector` that runs an ONNX file.

    Args:
        found: the ONNX file.
        placement: its precision is not used.
        search: which faces to find; with tiles, also in overlapping tiles of frames larger than the input.

    Raises:
        ModelError: the file is not SCRFD, has no keypoints, or takes frames of any size and needs no tiles.
            Or the device cannot be used.
        NonFiniteError: it returns NaN or infinite numbers for a black frame.
    """

    def __init__(self, found: WeightFiles, placement: Placement, search: FaceSearch) -> None:
        self.card, self.search = found.card, search
        self.batch_size = placement.batch_size or max(8, 2 * cpu_threads())
        path = found.paths[0]
        session = onnx_session(path, threads=1, device=placement.device)
        shape, names = check_onnx(path, session, inputs=1)
        check_input(path, session.get_inputs()[0].type, shape)
        if others := {output.type for output in session.get_outputs()} - FLOATS.keys():
            raise ModelError(f"{path}: not SCRFD: its outputs are {', '.join(sorted(others))}, not floats")
        self._size = fixed_size(path, shape)
        if search.tiles and self._size is None:
            raise ModelError(f"{path}: takes frames of any size, so it needs no tiles: leave --tiles out")
        size = self._size or (_TRIAL, _TRIAL)
        try:
            black = np.full((1, 3, *size), BLACK, FLOATS[session.get_inputs()[0].type])
            outputs = dict(zip(names, session.run(names, {session.get_inputs()[0].name: black}), strict=True))
        except Exception as error:
            raise ModelError(f"{path}: cannot detect faces: {str(error).splitlines()[0][:120]}") from error
        self._layout = read_layout(path, {name: value.shape for name, value in outputs.items()}, size)
        for kind, group in self._layout.groups.items():
            for name in group:
                check_finite(self.card, "float32", **{kind: outputs[name]})
        for name in self._layout.groups["scores"]:
            if outputs[name].min() < 0 or outputs[name].max() > 1:
                raise ModelError(
                    f"{path}: its scores are not between 0 and 1: was it exported without its last sigmoid?"
                )
        self._network = OnnxArrays(session, self._layout.groups)

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces in each of `frames`."""
        return parallel_map(self._detect, frames)

    def _detect(self, frame: Image) -> Detections:
        height, width = frame.shape[:2]
        rows, saturated = self._find(frame)
        rows = rows[suppress(rows[:, :4], rows[:, 14], NMS_IOU, border=1)]
        keypoints = rows[:, 4:14].reshape(-1, 5, 2)
        return make_detections(
            rows[:, :4], rows[:, 14], keypoints, (height, width), self.search.min_box_size, saturated
        )

    def _levels(self, frame: Size) -> list[Level]:
        """Return the scales at which a frame of a size is searched, finest first."""
        wanted = min(1.0, SMALLEST / self.search.min_face_size)
        if self._size is None:
            seen = scaled(frame, wanted)
            levels = [whole(frame, seen)]
        else:
            seen = fit(frame, self._size)
            down = frame[0] / seen[0]
            levels = tiled(frame, wanted, 1 / down, self._size) if self.search.tiles else []
            level = whole(frame, seen)
            # As in insightface, x has the ratio of y, although the smaller side is rounded down: x is then
            # off by up to two pixels of the input at the right border. In very wide frames it would be more.
            if abs(seen[1] - frame[1] / down) <= MAX_SHIFT:
                level = replace(level, ratio=(down, down))
            levels.append(level)
        if longest_face(seen) > LARGEST:
            reduced = REDUCED / longest_face(seen)
            levels.append(whole(frame, scaled(seen, reduced), smallest=reduced * LARGE))
        return levels

    def _find(self, frame: Image) -> tuple[Rows, bool]:
        """Run the network over a frame at all its scales.

        Returns:
            Candidates, not yet suppressed, as (n, 15) x1, y1, x2, y2, five keypoints x, y, score; and whether
            they are saturated, see `Detections`.
        """
        found, candidates, places = [], 0, 0
        for level in self._levels((frame.shape[0], frame.shape[1])):
            image = resize(frame, level.size)
            ratio = np.array(level.ratio * 7, np.float32)
            for window in level.windows:
                top, left, bottom, right = window
                rows, count = self._run(image[top:bottom, left:right])
                candidates, places = candidates + len(rows), places + count
                rows = rows[level.takes(rows[:, :4], window)]
                rows[:, :14] = (rows[:, :14] + np.array([left, top] * 7, np.float32)) * ratio
                found.append(rows)
        return np.concatenate(found), 2 * candidates >= places

    def _run(self, image: Image) -> tuple[Rows, int]:
        """Run the network over an image that fits its input.

        Returns:
            Candidates in pixels of the image, and the number of places that the network scored.
        """
        height, width = image.shape[:2]
        step = self._layout.strides[-1]
        size = self._size or (height + -height % step, width + -width % step)
        arrays = self._network.arrays(*size)
        planes = arrays.input[0]
        planes[:, height:], planes[:, :height, width:] = BLACK, BLACK
        for target, plane in zip(planes, cv2.split(image), strict=True):  # RGB
            pixels = target[:height, :width]
            np.multiply(plane, np.float32(1 / STD), out=pixels)
            pixels += np.float32(BLACK)
        with oom_as_model_error(f"an image of {size[1]}x{size[0]} pixels"):
            outputs = self._network.run(arrays)
        check_finite(self.card, "float32", **outputs)
        rows = decode(outputs, self._layout, size, self.search.face_threshold)
        check_finite(self.card, "float32", boxes=rows)
        return rows, len(outputs["scores"])


def check_input(path: Path, kind: str, shape: Sequence[int | str | None]) -> None:
    """Check that an input takes one frame at a time, in floating-point numbers.

    Raises:
        ModelError: it takes other numbers, or more frames.
    """
    if kind not in FLOATS:
        raise ModelError(f"{path}: its input is a {kind}, not one of floats; export it in float32")
    if isinstance(shape[0], int) and shape[0] > 1:
        raise ModelError(
            f"{path}: takes {shape[0]} frames at once; export it for one frame, or for any number"
        )


def fixed_size(path: Path, shape: Sequence[int | str | None]) -> Size | None:
    """Return the height and width of an input of shape (n, 3, height, width); None if they are free.

    Raises:
        ModelError: only one of them is free.
    """
    sides = [side if isinstance(side, int) and side > 0 else None for side in shape[2:]]
    if None not in sides:
        return sides[0], sides[1]  # type: ignore[return-value]
    if sides != [None, None]:
        raise ModelError(f"{path}: takes frames of shape {list(shape[2:])}; both sides must be fixed or free")
    return None


def read_layout(path: Path, shapes: Mapping[str, tuple[int, ...]], size: Size) -> Layout:
    """Recognise the outputs of a file by their shapes.

    Args:
        path: for messages.
        shapes: of the outputs by name, for an input of `size`: (places, k) or (1, places, k) with k from
            `KINDS`.

    Raises:
        ModelError: they are not those of SCRFD, or there are no keypoints.
    """
    by_kind: dict[str, dict[int, str]] = {kind: {} for kind in KINDS.values()}  # name by places
    for name, shape in shapes.items():
        if len(shape) in (2, 3) and shape[-1] in KINDS:
            by_kind[KINDS[shape[-1]]][shape[-2]] = name
    counts = sorted(by_kind["scores"], reverse=True)
    strides = [FIRST_STRIDE << i for i in range(len(counts))]
    cells = [-(-size[0] // stride) * -(-size[1] // stride) for stride in strides]
    anchors = counts[0] // cells[0] if counts else 0
    right = anchors > 0 and counts == [anchors * count for count in cells]
    if right and by_kind["boxes"].keys() == set(counts) and 2 * len(counts) == len(shapes):
        raise ModelError(
            f"{path}: SCRFD without keypoints, but embedders align faces by them; take a file with keypoints "
            "(its name mostly has kps)"
        )
    if not right or 3 * len(counts) != len(shapes) or any(k.keys() != set(counts) for k in by_kind.values()):
        listed = ", ".join(str(list(shape)) for shape in list(shapes.values())[:4])
        raise ModelError(
            f"{path}: not SCRFD: its {len(shapes)} outputs have the shapes {listed}, …; expected for each "
            "stride of 8, 16, 32, … pixels: scores [places, 1], boxes [places, 4], keypoints [places, 10]"
        )
    return Layout({kind: [names[count] for count in counts] for kind, names in by_kind.items()}, anchors)


def fit(frame: Size, size: Size) -> Size:
    """Return the largest size in `size` with the aspect ratio of `frame`, all height and width.

    Rounded down, as by insightface.
    """
    ratio = frame[0] / frame[1]
    if ratio > size[0] / size[1]:
        return size[0], max(1, int(size[0] / ratio))
    return max(1, int(size[1] * ratio)), size[1]


def resize(image: Image, size: Size) -> Image:
    """Scale `image` to a size as insightface does; an image of this size is returned itself."""
    return image if image.shape[:2] == size else np.asarray(cv2.resize(image, size[::-1]), np.uint8)


def decode(outputs: Mapping[str, Rows], layout: Layout, size: Size, threshold: float) -> Rows:
    """Decode the network's outputs for one frame, as insightface's `SCRFD.forward` does.

    Args:
        outputs: of the p places of all levels: scores (p, 1), distances from a cell's corner to the four
            sides (p, 4), and offsets of the keypoints from it (p, 10), in strides.
        size: of the network's input.
        threshold: minimum score.

    Returns:
        The places with at least the minimum score, of finer levels first.
    """
    scores, boxes, keypoints = (outputs[kind] for kind in KINDS.values())
    found = np.flatnonzero(scores[:, 0] >= np.float32(threshold))
    cells = _cells(size, layout.strides, layout.anchors)[found]
    corner, stride = cells[:, :2], cells[:, 2:]
    side, points = boxes[found] * stride, keypoints[found] * stride
    return np.hstack([corner - side[:, :2], corner + side[:, 2:], points + np.tile(corner, 5), scores[found]])


@lru_cache(maxsize=SIZES)
def _cells(size: Size, strides: tuple[int, ...], anchors: int) -> NDArray[np.float32]:
    """Return x, y of the corner and the stride (p, 3) of each place of an input, in pixels."""
    levels = []
    for stride in strides:
        row, column = np.indices((-(-size[0] // stride), -(-size[1] // stride))).reshape(2, -1)
        cells = np.stack([column * stride, row * stride, np.full(len(row), stride)], axis=1)
        levels.append(np.repeat(cells, anchors, axis=0))
    return np.concatenate(levels).astype(np.float32)
