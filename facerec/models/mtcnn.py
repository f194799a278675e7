"""MTCNN (Zhang et al., "Joint face detection and alignment using multi-task cascaded CNNs", 2016).

The three networks and their weights are facenet-pytorch's, the cascade around them is ours: it gives
what `facenet_pytorch.MTCNN.detect` gives, several times as fast. Where that library averages each
pyramid level and each candidate's crop pixel by pixel, here an integral image (Crow, "Summed-area
tables for texture mapping", 1984) gives all of them by look-ups, all of a frame's candidates at once;
sums of integers are exact, so that costs no accuracy. The networks are written out here because
importing that library (and torchvision with it) takes longer than importing torch.

A frame is processed alone, so that what is found in it cannot depend on its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from facerec.geometry import Image
from facerec.models.base import Detections, make_detections
from facerec.models.device import Placement, cpu_threads, parallel_map
from facerec.models.loading import load_state
from facerec.models.weights import WeightFiles

CELL = 12  # pixels that the first network sees: the smallest face at the pyramid's finest level
PYRAMID_FACTOR = 0.709  # between two levels, as in the paper: 1 / sqrt(2), so half the area
PROPOSAL_THRESHOLD, REFINE_THRESHOLD = 0.6, 0.7  # facenet-pytorch's, of the first two networks
CROPS = {"cpu": 32, "cuda": 1024}  # crops through the second and third network at once: what caches hold


class _Network(torch.nn.Module):
    """One of the cascade's networks; its parameters are named as in facenet-pytorch's files.

    Args:
        convolutions: (inputs, outputs, kernel) of each; a PReLU follows each.
        pools: kernel of the pooling (stride 2, rounding up) after each; 0 for none.
        dense: (inputs, outputs) of the fully connected layer, None where there is none.
        heads: name and number of outputs of each head.
    """

    def __init__(
        self,
        convolutions: Sequence[tuple[int, int, int]],
        pools: Sequence[int],
        dense: tuple[int, int] | None,
        heads: dict[str, int],
    ) -> None:
        super().__init__()
        self._pools, self._heads = tuple(pools), tuple(heads)
        layer = 0
        for layer, (inputs, outputs, size) in enumerate(convolutions, start=1):
            self.add_module(f"conv{layer}", torch.nn.Conv2d(inputs, outputs, size))
            self.add_module(f"prelu{layer}", torch.nn.PReLU(outputs))
        self._dense = f"dense{layer + 1}" if dense else ""
        if dense:
            self.add_module(self._dense, torch.nn.Linear(*dense))
            self.add_module(f"prelu{layer + 1}", torch.nn.PReLU(dense[1]))
        for name, size in heads.items():
            head = torch.nn.Linear(dense[1], size) if dense else torch.nn.Conv2d(outputs, size, 1)
            self.add_module(name, head)

    def forward(self, x: Tensor) -> list[Tensor]:
        layers = self._modules
        for layer, pool in enumerate(self._pools, start=1):
            x = layers[f"prelu{layer}"](layers[f"conv{layer}"](x))  # type: ignore[misc]
            if pool == 2:
                x = _halve(x)
            elif pool:
                x = F.max_pool2d(x, pool, 2, ceil_mode=True)
        if self._dense:  # those files' order of inputs is width, height, channel
            x = layers[self._dense](x.permute(0, 3, 2, 1).flatten(1))  # type: ignore[misc]
            x = layers[f"prelu{len(self._pools) + 1}"](x)  # type: ignore[misc]
        return [layers[name](x) for name in self._heads]  # type: ignore[misc]


def _halve(x: Tensor) -> Tensor:
    """Max-pool by 2, rounding up; twice as fast on a CPU as torch's, which is slow for few channels."""
    height, width = x.shape[-2:]
    if height % 2 or width % 2:
        x = F.pad(x, (0, width % 2, 0, height % 2), value=-torch.inf)
    rows = torch.maximum(x[..., 0::2, :], x[..., 1::2, :])
    return torch.maximum(rows[..., 0::2], rows[..., 1::2])


def _networks() -> tuple[_Network, _Network, _Network]:
    """P-Net, R-Net and O-Net; heads: face or not, box correction, and the last one's keypoints."""
    return (
        _Network([(3, 10, 3), (10, 16, 3), (16, 32, 3)], [2, 0, 0], None, {"conv4_1": 2, "conv4_2": 4}),
        _Network(
            [(3, 28, 3), (28, 48, 3), (48, 64, 2)], [3, 3, 0], (576, 128), {"dense5_1": 2, "dense5_2": 4}
        ),
        _Network(
            [(3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2)],
            [3, 3, 2, 0],
            (1152, 256),
            {"dense6_1": 2, "dense6_2": 4, "dense6_3": 10},
        ),
    )


class MTCNN:
    """A `Detector`.

    Args:
        found: the weights of the three networks.
        placement: its device.
        min_face_size: pixels; smaller faces are not searched for. The cost goes with its inverse square.
        face_threshold: least score of the last network, 0..1.
    """

    def __init__(
        self, found: WeightFiles, placement: Placement, *, min_face_size: float, face_threshold: float
    ) -> None:
        self.card = found.card
        self.batch_size = placement.batch_size or max(8, cpu_threads())
        self.min_face_size, self.face_threshold = min_face_size, face_threshold
        self._device = torch.device(placement.device)
        with torch.device("meta"):
            self._networks = _networks()
        for path, network in zip(found.paths, self._networks, strict=True):
            load_state(path, network)
            network.to(self._device).to(memory_format=torch.channels_last)

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        """Find the faces of each of `frames`."""
        if self._device.type == "cpu":
            return parallel_map(self._detect, frames)
        return [self._detect(frame) for frame in frames]

    @torch.inference_mode()
    def _detect(self, frame: Image) -> Detections:
        height, width = frame.shape[:2]
        integral = _integral(frame).to(self._device)
        boxes = self._proposals(integral, height, width)
        boxes, crops = _crops(integral, _square(boxes), 24)
        scores, moves, _ = self._run(1, crops)
        kept = np.flatnonzero(scores > REFINE_THRESHOLD)
        kept = kept[_nms(boxes[kept], scores[kept], 0.7)]
        boxes, crops = _crops(integral, _square(_moved(boxes[kept], moves[kept])), 48)
        scores, moves, points = self._run(2, crops)
        kept = np.flatnonzero(scores > self.face_threshold)
        boxes, scores, moves, points = boxes[kept], scores[kept], moves[kept], points[kept]
        sizes = boxes[:, 2:] - boxes[:, :2] + 1
        keypoints = points.reshape(-1, 2, 5).transpose(0, 2, 1) * sizes[:, None] + boxes[:, None, :2] - 1
        boxes = _moved(boxes, moves)
        best = _nms_inside(boxes, scores, 0.7)
        return make_detections(
            boxes[best], scores[best], keypoints[best], (height, width), self.min_face_size
        )

    def _proposals(self, integral: Tensor, height: int, width: int) -> NDArray[np.float32]:
        """Candidate boxes (n, 4) of the first network over the whole pyramid."""
        found, scores = [], []
        scale = CELL / self.min_face_size
        while min(height, width) * scale >= CELL:
            level = _level(integral, int(height * scale + 1), int(width * scale + 1))
            logits, moves = self._networks[0](level)
            probability = torch.sigmoid(logits[0, 1] - logits[0, 0])  # softmax of two
            where = (probability >= PROPOSAL_THRESHOLD).nonzero()
            score = probability[where[:, 0], where[:, 1]].cpu().numpy()
            move = moves[0, :, where[:, 0], where[:, 1]].T.cpu().numpy()
            corner = 2 * where.flip(1).cpu().numpy().astype(np.float32)  # the network's stride
            box = np.floor(np.hstack([corner + 1, corner + CELL]) / np.float32(scale))
            kept = _nms(box, score, 0.5)
            found.append(np.hstack([box, move])[kept])
            scores.append(score[kept])
            scale *= PYRAMID_FACTOR
        if not found:  # the frame is smaller than the smallest face
            return np.empty((0, 4), np.float32)
        candidates = np.concatenate(found)
        candidates = candidates[_nms(candidates[:, :4], np.concatenate(scores), 0.7)]
        sizes = candidates[:, 2:4] - candidates[:, :2]
        moved: NDArray[np.float32] = candidates[:, :4] + candidates[:, 4:] * np.tile(sizes, 2)
        return moved

    def _run(self, stage: int, crops: Tensor) -> tuple[NDArray[np.float32], ...]:
        """Scores (n,), box corrections (n, 4) and, of the last stage, keypoints (n, 10) of `crops`."""
        parts = [self._networks[stage](part) for part in torch.split(crops, CROPS[self._device.type])]
        heads = [torch.cat(part).cpu().numpy() for part in zip(*parts, strict=True)]
        logits = heads[0]
        score = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        return score, heads[1], heads[-1]


def _integral(frame: Image) -> Tensor:
    """Sums of all pixels above and left of each corner, (height + 1, width + 1).

    The three sums and a fourth, unused, are one number of 16 bytes to torch, which fetches such
    several times as fast as three. They may overflow; their differences are right all the same.
    """
    sums = cv2.integral(cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA), sdepth=cv2.CV_32S)
    return torch.from_numpy(sums).view(torch.complex128)[..., 0]


def _sums(corners: Tensor) -> Tensor:
    """The four sums (…, 4) int32 of corners of an integral image."""
    return corners.unsqueeze(-1).view(torch.int32)


def _level(integral: Tensor, height: int, width: int) -> Tensor:
    """The frame of `integral` averaged to (1, 3, height, width), normalised, channels last.

    An output pixel is the mean of the input pixels that it touches (torch's adaptive average pooling).
    """
    device = integral.device
    rows, columns = torch.arange(height + 1, device=device), torch.arange(width + 1, device=device)
    full_height, full_width = integral.shape[0] - 1, integral.shape[1] - 1
    top, bottom = rows[:-1] * full_height // height, -(-rows[1:] * full_height // height)
    left, right = columns[:-1] * full_width // width, -(-columns[1:] * full_width // width)
    rows = _sums(integral.index_select(0, bottom)) - _sums(integral.index_select(0, top))
    rows = rows.view(torch.complex128)[..., 0]
    sums = _sums(rows.index_select(1, right)) - _sums(rows.index_select(1, left))
    area = (bottom - top)[:, None, None] * (right - left)[:, None]
    return _normalised(sums, area)[None].permute(0, 3, 1, 2)


def _crops(integral: Tensor, boxes: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], Tensor]:
    """The frame of `integral` inside each box, averaged to (n, 3, size, size), normalised.

    Returns:
        The boxes of which a pixel is inside the frame, and their crops.
    """
    height, width = integral.shape[0] - 1, integral.shape[1] - 1
    corners = np.trunc(boxes).astype(np.int64)
    begin = np.maximum(corners[:, :2], 1) - 1  # that library counts pixels from 1
    end = np.minimum(corners[:, 2:], [width, height])
    inside = (end > begin).all(axis=1)
    begin, extent = begin[inside], (end - begin)[inside]
    steps = np.arange(size + 1)
    edges = extent[:, :, None] * steps
    low = torch.from_numpy(begin[:, :, None] + edges[..., :-1] // size).to(integral.device)
    high = torch.from_numpy(begin[:, :, None] - (-edges[..., 1:] // size)).to(integral.device)
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
    """Boxes (n, 4) made square around their centres, by their longer side."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    side = sizes.max(axis=1, keepdims=True, initial=0)
    begin = boxes[:, :2] + sizes * 0.5 - side * 0.5
    return np.hstack([begin, begin + side])


def _moved(boxes: NDArray[np.float32], moves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Boxes (n, 4) corrected by `moves` (n, 4), in parts of their sizes."""
    return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)


def _nms(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float) -> NDArray[np.intp]:
    """Indices of the boxes, best first, that overlap no better one by more than `overlap` (IoU)."""
    if not len(boxes):
        return np.empty(0, np.intp)
    corner_size = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])
    return np.asarray(cv2.dnn.NMSBoxes(corner_size.tolist(), scores.tolist(), 0.0, overlap), np.intp)


def _nms_inside(boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float) -> list[int]:
    """As `_nms`, with the overlap in parts of the smaller box: one inside another goes, too."""
    area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        begin = np.maximum(boxes[index, :2], boxes[kept, :2])
        end = np.minimum(boxes[index, 2:], boxes[kept, 2:])
        shared = np.maximum(end - begin + 1, 0).prod(axis=1)
        if (shared <= overlap * np.minimum(area[index], area[kept])).all():
            kept.append(int(index))
    return kept
