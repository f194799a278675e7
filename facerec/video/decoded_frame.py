"""A decoded frame of a film, which is converted to RGB, planes or a miniature only when it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facerec.geometry import Image
from facerec.pixels import Channels, YuvTables
from facerec.video.conversion import copy_planes, to_channels, to_rgb, yuv_tables
from facerec.video.miniature import reduce
from facerec.video.orientation import Orientation, fitted_size, orientation_of, with_borders

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from facerec.video.film import Film


@dataclass(frozen=True, eq=False)
class DecodedFrame:
    """A frame as the decoder gives it. Any thread may convert it, but only one at a time.

    Attributes:
        number: of the frame in its film.
        picture: as stored: neither turned upright nor scaled to the display size.
        header: the sequence header that the picture was decoded with, equal bytes in all frames of a film
            with the same position of chroma samples, among others; None if it is not known.
    """

    film: Film
    number: int
    picture: VideoFrame
    header: bytes | None = None

    def image(self) -> Image:
        """Convert to RGB at display size, upright: one pass of swscale, then rotation."""
        film, orientation = self.film, self._orientation
        width, height = size = self._fitted(orientation)
        if orientation.is_sideways:
            width, height = height, width
        image = orientation.apply(to_rgb(self.picture, width, height))
        display = film.display_width, film.display_height
        return image if size == display else with_borders(image, display)

    def channels(self) -> Channels | None:
        """Convert to the bytes of `image` with its channels apart; None if that takes more than one step."""
        return to_channels(self.picture) if self._is_shown_as_stored else None

    def reduced(self) -> VideoFrame:
        """Reduce to 48x27 pixels, as stored, in one pass of swscale; `pixels_of` it is the miniature."""
        return reduce(self.picture)

    def yuv_tables(self) -> YuvTables | None:
        """Return how the frame's planes become the bytes of `image`; None if they cannot."""
        return yuv_tables(self.picture) if self._is_shown_as_stored else None

    def copy_planes(self, target: NDArray[np.uint8]) -> None:
        """Copy the planes of a frame that has `yuv_tables` to `target` (plane_bytes,)."""
        copy_planes(self.picture, target)

    @property
    def _is_shown_as_stored(self) -> bool:
        """Whether the picture has the display size and is upright."""
        stored = self.picture.width, self.picture.height
        if stored != (self.film.display_width, self.film.display_height):
            return False
        return self._orientation == Orientation(0)

    @property
    def _orientation(self) -> Orientation:
        found = orientation_of(self.picture, self.film.orientation)
        return self.film.orientation if found.rotation % 90 else found

    def _fitted(self, orientation: Orientation) -> tuple[int, int]:
        """Return width and height at which the frame is drawn in the display size."""
        upright = self.picture.width, self.picture.height
        upright = upright[::-1] if orientation.is_sideways else upright
        return fitted_size(upright, self.film.first_size, (self.film.display_width, self.film.display_height))
