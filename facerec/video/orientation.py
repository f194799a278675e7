"""How decoded frames are turned, mirrored and fitted so that they are upright at display size.

Each frame has its own display matrix. It may change within a film, as may the stored size: the display size
of a film is that of its first frame, and frames of another shape get black borders.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer

from facerec.geometry import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_SAME_SHAPE = 0.03  # relative difference of aspect ratios that is due to cropping and rounding

# stored sizes of broadcasts and discs with pixels that are not square
_ANAMORPHIC = {(1440, 1080), (1440, 1088), (1280, 1080), (1280, 1088), (960, 720)} | {
    (width, height) for width in (720, 704, 702, 544, 528, 480, 352) for height in (576, 480)
}


@dataclass(frozen=True)
class Orientation:
    """How a stored frame becomes upright.

    Attributes:
        rotation: degrees counter-clockwise, 0 to 359.
        mirrored: whether the frame is mirrored left to right after it was rotated.
    """

    rotation: int
    mirrored: bool = False

    @property
    def is_sideways(self) -> bool:
        """Whether width and height change places."""
        return self.rotation % 180 == 90

    def apply(self, image: Image) -> Image:
        """Turn and mirror an image."""
        turned = np.rot90(image, self.rotation // 90) if self.rotation else image
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)


def orientation_of(frame: VideoFrame, default: Orientation) -> Orientation:
    """Return the orientation of a frame by its display matrix; `default` if it has none."""
    # `frame.side_data` would refer to the frame and be kept by it, so that the picture, megabytes of memory,
    # would live on until Python next looks for such cycles
    container: Any = SideDataContainer  # its stub lacks the argument
    matrix: Any = container(frame).get("DISPLAYMATRIX")
    if matrix is None:
        return default
    # stored (x, y) is shown at (a x + c y, b x + d y), y downwards
    a, b, _, c, d = (int(value) for value in np.frombuffer(bytes(matrix), np.int32)[:5])
    if a * d - b * c >= 0:
        return Orientation(frame.rotation % 360)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(0 if d > 0 else 180, mirrored=True)
    return Orientation(270 if b > 0 else 90, mirrored=True)


def fitted_size(
    upright: tuple[int, int], first: tuple[int, int], display: tuple[int, int]
) -> tuple[int, int]:
    """Return width and height at which a frame is drawn within the display size of its film.

    It is the display size if the frame has the shape of the first frame. It is so too if the pixels of either
    are not square, as in broadcasts that change from 720x576 to 1920x1080 or 544x576: they keep the displayed
    shape. Otherwise the frame is made as large as it fits.

    Args:
        upright: width and height of the frame, as stored but upright.
        first: those of the first frame of the film.
        display: display size of the film.
    """
    ratio = Fraction(*upright)
    if upright == first or upright in _ANAMORPHIC or not _alike(Fraction(*first), Fraction(*display)):
        return display
    if _alike(ratio, Fraction(*display)):
        return display
    width, height = display
    if ratio > Fraction(width, height):
        return width, max(1, round(width / ratio))
    return max(1, round(height * ratio)), height


def _alike(ratio: Fraction, other: Fraction) -> bool:
    return abs(ratio / other - 1) < _SAME_SHAPE


def with_borders(image: Image, display: tuple[int, int]) -> Image:
    """Return an image in the middle of a black one of the display size (width, height)."""
    width, height = display
    top, left = (height - image.shape[0]) // 2, (width - image.shape[1]) // 2
    framed = np.zeros((height, width, 3), np.uint8)
    framed[top : top + image.shape[0], left : left + image.shape[1]] = image
    return framed
