"""Compare small pictures without regard to light and camera motion.

Pictures are the luma of miniatures, as rows of 1,296 grey levels (float32). They are compared after the gain
and offset that fit them best, so a step of exposure is no difference; pixels that are white in either are
left out, because overexposure hides what was there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facerec.video.miniature import HEIGHT, WIDTH

Pictures = NDArray[np.float32]  # (..., HEIGHT * WIDTH)

_WHITE = 248  # grey levels from here on are overexposed
_MIN_USED = 0.3  # share of pixels that must be left; else all are used
_NOISE = 4.0  # variance that is added to a picture's; keeps the gain of a nearly flat one finite
_AT_ONCE = 1 << 15  # pixels that are compared in one step; the arrays of a step fit the processor's caches
_BLOCK_ROWS, _BLOCK_COLUMNS = 9, 8  # pixels of a block of `shared_parts`
_TEXTURE = 4.0  # contrast from which a block is textured
_SAME_BLOCK = 0.4  # distance, as a share of its contrast, below which a block is the same


def contrast(pictures: Pictures) -> NDArray[np.float32]:
    """Compute the mean absolute deviation from the mean, in grey levels."""
    deviations = np.abs(pictures - pictures.mean(-1, keepdims=True))
    return np.asarray(deviations.mean(-1))


def distance(one: Pictures, other: Pictures) -> NDArray[np.float32]:
    """Compute the mean absolute difference after gain and offset, in grey levels.

    Each picture is predicted from the other one by least squares; the worse prediction counts. The distance
    of unrelated pictures is the larger one's contrast.

    Args:
        one, other: pictures of any number of pixels, of shapes that broadcast.
    """
    if one.ndim == other.ndim == 2 and len(one) == len(other) > (rows := _AT_ONCE // one.shape[1]):
        parts = range(0, len(one), rows)
        return np.concatenate([distance(one[at : at + rows], other[at : at + rows]) for at in parts])
    if max(one.max(initial=0), other.max(initial=0)) < _WHITE:
        return _distance_of_all(one, other)
    used = (np.maximum(one, other) < _WHITE).astype(np.float32)
    used = np.where(used.mean(-1, keepdims=True) < _MIN_USED, np.float32(1), used)
    count = used.sum(-1, keepdims=True)
    a = one - (one * used).sum(-1, keepdims=True) / count
    b = other - (other * used).sum(-1, keepdims=True) / count
    weighted = a * used
    shared = np.maximum((weighted * b).sum(-1, keepdims=True) / count, 0)
    gain = shared / ((weighted * a).sum(-1, keepdims=True) / count + _NOISE)
    inverse = shared / ((b * b * used).sum(-1, keepdims=True) / count + _NOISE)
    errors = [(np.abs(error) * used).sum(-1) / count[..., 0] for error in (b - gain * a, a - inverse * b)]
    return np.asarray(np.maximum(*errors))


def _distance_of_all(one: Pictures, other: Pictures) -> NDArray[np.float32]:
    """Compute the same numbers as `distance`, in half the time, for pictures without white pixels."""
    count = np.float32(one.shape[-1])
    a = one - one.sum(-1, keepdims=True) / count
    b = other - other.sum(-1, keepdims=True) / count
    shared = np.maximum((a * b).sum(-1, keepdims=True) / count, 0)
    gain = shared / ((a * a).sum(-1, keepdims=True) / count + _NOISE)
    inverse = shared / ((b * b).sum(-1, keepdims=True) / count + _NOISE)
    errors = [np.abs(error).sum(-1) / count for error in (b - gain * a, a - inverse * b)]
    return np.asarray(np.maximum(*errors))


def unlikeness(one: Pictures, other: Pictures) -> NDArray[np.float32]:
    """Compute the distance as a share of the larger contrast: 0 for one picture, 1 for unrelated ones."""
    found = distance(one, other)
    return np.asarray(found / np.maximum(np.maximum(contrast(one), contrast(other)), 1))


def shared_parts(one: Pictures, other: Pictures) -> float:
    """Compute the share of textured blocks that two pictures have in common, 0..1.

    An object that moves, or a title that appears, leaves the rest of the picture as it was; a transition
    leaves nothing.
    """
    blocks = [_blocks(picture) for picture in (one, other)]
    textured = np.minimum(*map(contrast, blocks)) >= _TEXTURE
    same = textured & (unlikeness(*blocks) < _SAME_BLOCK)
    return float(same.sum() / max(textured.sum(), 1))


def _blocks(picture: Pictures) -> Pictures:
    rows, columns = HEIGHT // _BLOCK_ROWS, WIDTH // _BLOCK_COLUMNS
    cut = picture.reshape(rows, _BLOCK_ROWS, columns, _BLOCK_COLUMNS).transpose(0, 2, 1, 3)
    return cut.reshape(rows * columns, -1)


def distance_after_motion(one: Pictures, other: Pictures) -> float:
    """Compute the distance of two pictures after the motion between them (Farnebäck's optical flow)."""
    return min(_followed(one, other), _followed(other, one))


def _followed(one: Pictures, other: Pictures) -> float:
    import cv2

    flow: Any = cv2.calcOpticalFlowFarneback(
        _flattened(one),
        _flattened(other),
        None,
        0.5,
        3,
        9,
        5,
        5,
        1.1,
        0,
    )
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    x, y = x + flow[..., 0], y + flow[..., 1]
    inside = ((x >= 0) & (x <= WIDTH - 1) & (y >= 0) & (y <= HEIGHT - 1)).ravel()
    if inside.mean() < _MIN_USED:
        return float(contrast(one))
    moved = cv2.remap(other.reshape(HEIGHT, WIDTH), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return float(distance(one[inside], np.asarray(moved, np.float32).ravel()[inside]))


def _flattened(picture: Pictures) -> NDArray[np.uint8]:
    """Give a picture the same light and contrast as every other one."""
    scaled = (picture - picture.mean()) / (picture.std() + 4) * 50 + 128
    return np.asarray(scaled.clip(0, 255), np.uint8).reshape(HEIGHT, WIDTH)
