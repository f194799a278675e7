"""MTCNN (Zhang et al., "Joint face detection and alignment using multi-task cascaded CNNs", 2016).

Networks and weights are facenet-pytorch's; the cascade is reimplemented: for boxes inside the frame it
returns what `facenet_pytorch.MTCNN.detect` returns, several times as fast. Where the frame's border cuts off
part of a box, the rest is stretched to the network's input. The library maps the keypoints of such a face to
the whole box, which misplaces them by up to an eye distance; here they are mapped to the rest, which is all
that the network saw. Boxes and scores are the same. The library averages each pyramid level and
each candidate's crop pixel by pixel. Here an integral image (Crow, "Summed-area tables for texture
mapping", 1984) gives them by look-ups, for all candidates of a frame at once; integer sums are exact, so this
costs no accuracy.

Each frame is processed alone, so its result does not depend on its batch. On the CPU only: on a GPU every
level of the pyramid and every stage would wait for the host, and an integral image of 33 MB a frame of
1920x1080 pixels would be sent there.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facerec.geometry import Image
from facerec.models.base import Detections, FaceSearch, check_finite, make_detections
from facerec.models.device import Placement, parallel_map
from facerec.models.loading import load_state
from facerec.models.mtcnn_network import networks
from facerec.models.weights import WeightFiles
from facerec.support.limits import cpu_threads

# Except for CROPS, the constants are those of facenet-pytorch.
CELL = 12  # pixels per side of the first network's input: the smallest face on the finest pyramid level
PYRAMID_FACTOR = 0.709  # scale between two levels, as in the paper: about 1 / sqrt(2), half the area
PROPOSAL_THRESHOLD, REFINE_THRESHOLD = 0.6, 0.7  # minimum scores of the first two networks
CROPS = 32  # crops in a batch of the second and third network, to fit the caches


class MTCNN:
    """A `Detector` on the CPU.

    Args:
        found: the weights of the three networks.
        placement: only its batch size is used.
        search: which faces to find, by the score of the last network. The time falls with the inverse square
            of the minimum size.
    """

    def __init__(self, found: WeightFiles, placement: Placement, search: FaceSearch) -> None:
        self.card, self.search = found.card, search
        self.batch_size = placement.batch_size or max(8, cpu_threads())
        with torch.device("meta"):
            self._networks = networks()
        for path, network in zip(found.paths, self._networks, strict=True):
            load_state(path, network)
            network.to(memory_format=torch.channels_last)

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces in each of `frames`."""
        return parallel_map(self._detect, frames)

    @torch.inference_mode()
    def _detect(self, frame: Image) -> Detections:
        height, width = frame.shape[:2]
        integral = _integral(frame)
        boxes, saturated = self._proposals(integral, height, width)
        boxes, crops = _crops(integral, self._squares(boxes), 24)
        scores, moves, _ = self._run(1, crops)
        kept = np.flatnonzero(scores > REFINE_THRESHOLD)
        kept = kept[_nms(boxes[kept], scores[kept], 0.7)]
        boxes, crops = _crops(integral, self._squares(_moved(boxes[kept], moves[kept])), 48)
        scores, moves, points = self._run(2, crops)
        kept = np.flatnonzero(scores > self.search.face_threshold)
        boxes, scores, moves, points = boxes[kept], scores[kept], moves[kept], points[kept]
        keypoints = _keypoints(points, boxes, height, width)
        boxes = _moved(boxes, moves)
        check_finite(self.card, "float32", boxes=boxes, keypoints=keypoints)
        best = _nms_inside(boxes, scores, 0.7)
        return make_detections(
            boxes[best], scores[best], keypoints[best], (height, width), self.search.min_box_size, saturated
        )

    def _proposals(self, integral: Tensor, height: int, width: int) -> tuple[NDArray[np.float32], bool]:
        """Run the first network on all pyramid levels.

        Returns:
            Candidate boxes (n, 4), and whether at least half of all places are candidates.
        """
        found, scores = [], []
        places = candidates_found = 0
        scale = CELL / self.search.min_face_size
        while min(height, width) * scale >= CELL:
            level = _level(integral, int(height * scale + 1), int(width * scale + 1))
            logits, moves = self._networks[0](level)
            self._check(scores=logits, boxes=moves)
            probability = torch.sigmoid(logits[0, 1] - logits[0, 0])  # softmax of two
            where = (probability >= PROPOSAL_THRESHOLD).nonzero()
            places += probability.numel()
            candidates_found += len(where)
            score = probability[where[:, 0], where[:, 1]].numpy()
            move = moves[0, :, where[:, 0], where[:, 1]].T.numpy()
            corner = 2 * where.flip(1).numpy().astype(np.float32)  # the network's stride
            box = np.floor(np.hstack([corner + 1, corner + CELL]) / np.float32(scale))
            kept = _nms(box, score, 0.5)
            found.append(np.hstack([box, move])[kept])
            scores.append(score[kept])
            scale *= PYRAMID_FACTOR
        if not found:  # the frame is smaller than the smallest face
            return np.empty((0, 4), np.float32), False
        candidates = np.concatenate(found)
        candidates = candidates[_nms(candidates[:, :4], np.concatenate(scores), 0.7)]
        sizes = candidates[:, 2:4] - candidates[:, :2]
        moved: NDArray[np.float32] = candidates[:, :4] + candidates[:, 4:] * np.tile(sizes, 2)
        return moved, 2 * candidates_found >= places

    def _squares(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `_square(boxes)`; a finite correction of a box may overflow, and would drop the box."""
        squares = _square(boxes)
        check_finite(self.card, "float32", boxes=squares)
        return squares

    def _check(self, **outputs: Tensor) -> None:
        """Check what a network returned; numpy, which shares the memory, is faster than torch."""
        check_finite(self.card, "float32", **{name: values.numpy() for name, values in outputs.items()})

    def _run(self, stage: int, crops: Tensor) -> tuple[NDArray[np.float32], ...]:
        """Return scores (n,), box corrections (n, 4) and, for the last stage, keypoints (n, 10)."""
        parts = [self._networks[stage](part) for part in torch.split(crops, CROPS)]
        heads = [torch.cat(part).numpy() for part in zip(*parts, strict=True)]
        names = ("scores", "boxes", "keypoints")
        check_finite(self.card, "float32", **dict(zip(names, heads, strict=False)))
        logits = heads[0]
        score = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        return score, heads[1], heads[-1]


def _integral(frame: Image) -> Tensor:
    """Compute the integral image (height + 1, width + 1): sums of all pixels above and left of each corner.

    The int32 sums of the three channels and an unused fourth are viewed as one complex128, which torch
    gathers several times as fast as three numbers. The sums may overflow; their differences are still right.
    """
    sums = cv2.integral(cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA), sdepth=cv2.CV_32S)
    return torch.from_numpy(sums).view(torch.complex128)[..., 0]


def _sums(corners: Tensor) -> Tensor:
    """View corners of an integral image as their four sums (…, 4) int32."""
    return corners.unsqueeze(-1).view(torch.int32)


def _level(integral: Tensor, height: int, width: int) -> Tensor:
    """Downscale the frame of `integral` to (1, 3, height, width), normalised, channels last.

    An output pixel is the mean of the input pixels that it touches, as in torch's adaptive average pooling.
    """
    rows, columns = torch.arange(height + 1), torch.arange(width + 1)
    full_height, full_width = integral.shape[0] - 1, integral.shape[1] - 1
    top, bottom = rows[:-1] * full_height // height, -(-rows[1:] * full_height // height)
    left, right = columns[:-1] * full_width // width, -(-columns[1:] * full_width // width)
    rows = _sums(integral.index_select(0, bottom)) - _sums(integral.index_select(0, top))
    rows = rows.view(torch.complex128)[..., 0]
    sums = _sums(rows.index_select(1, right)) - _sums(rows.index_select(1, left))
    area = (bottom - top)[:, None, None] * (right - left)[:, None]
    return _normalised(sums, area)[None].permute(0, 3, 1, 2)


def _crops(integral: Tensor, boxes: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], Tensor]:
    """Crop the frame of `integral` to each box and downscale to `size` x `size`, normalised.

    Returns:
        The n boxes that overlap the frame, and their crops (n, 3, size, size).
    """
    height, width = integral.shape[0] - 1, integral.shape[1] - 1
    corners = np.trunc(boxes).astype(np.int64)
    begin = np.maximum(corners[:, :2], 1) - 1  # facenet-pytorch counts pixels from 1
    end = np.minimum(corners[:, 2:], [width, height])
    inside = (end > begin).all(axis=1)
    begin, extent = begin[inside], (end - begin)[inside]
    steps = np.arange(size + 1)
    edges = extent[:, :, None] * steps
    low = torch.from_numpy(begin[:, :, None] + edges[..., :-1] // size)
    high = torch.from_numpy(begin[:, :, None] - (-edges[..., 1:] // size))
    left, right = low[:, 0, None, :], high[:, 0, None, :]
    top, bottom = low[:, 1, :, None], high[:, 1, :, None]
    flat = integral.flatten()

    def at(y: Tensor, x: Tensor) -> Tensor:
        return _sums(flat.index_select(0, (y * (width + 1) + x).flatten())).view(-1, size, size, 4)

    sums = at(bottom, right) - at(top, right) - at(bottom, left) + at(top, left)
    area = ((bottom - top) * (right - left))[..., None]
    return boxes[inside], _normalised(sums, area).permute(0, 3, 1, 2)


def _normalised(sums: Tensor, area: Tensor) -> Tensor:
    return sums[..., :3].float().div_(area.float()).sub_(127.5).mul_(0.0078125)


def _square(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Extend boxes (n, 4) to squares around their centres, by their longer side."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    side = sizes.max(axis=1, keepdims=True, initial=0)
    begin = boxes[:, :2] + sizes * 0.5 - side * 0.5
    return np.hstack([begin, begin + side])


def _moved(boxes: NDArray[np.float32], moves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correct boxes (n, 4) by `moves` (n, 4), given as fractions of their sizes."""
    return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)


def _keypoints(
    points: NDArray[np.float32], boxes: NDArray[np.float32], height: int, width: int
) -> NDArray[np.float32]:
    """Map the last network's keypoints to pixels of the frame.

    Args:
        points: (n, 10) five x, then five y, as fractions of the crop.
        boxes: (n, 4) what was to be cropped. The crop is the part inside the frame, stretched to a square.

    Returns:
        (n, 5, 2) x, y.
    """
    begin = np.maximum(boxes[:, :2], 1)  # facenet-pytorch counts pixels from 1
    end = np.minimum(boxes[:, 2:], np.array([width, height], np.float32))
    fractions = points.reshape(-1, 2, 5).transpose(0, 2, 1)
    mapped: NDArray[np.float32] = fractions * (end - begin + 1)[:, None] + begin[:, None] - 1
    return mapped


def _nms(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float) -> NDArray[np.intp]:
    """Return the indices, best first, of boxes that overlap every better kept one by at most `overlap`."""
    if not len(boxes):
        return np.empty(0, np.intp)
    corner_size = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    return np.asarray(cv2.dnn.NMSBoxes(corner_size.tolist(), scores.tolist(), 0.0, overlap), np.intp)


def _nms_inside(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float) -> list[int]:
    """As `_nms`, with intersection over the smaller box instead of IoU, so that contained boxes go too."""
    area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        begin = np.maximum(boxes[index, :2], boxes[kept, :2])
        end = np.minimum(boxes[index, 2:], boxes[kept, 2:])
        shared = np.maximum(end - begin + 1, 0).prod(axis=1)
        if (shared <= overlap * np.minimum(area[index], area[kept])).all():
            kept.append(int(index))
    return kept
