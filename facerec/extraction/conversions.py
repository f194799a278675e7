"""The conversion of decoded frames to what the later steps of a shard need of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import av
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.geometry import Image
from facerec.models.base import Detections
from facerec.pixels import Channels
from facerec.support.prefetch import Profile
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.miniature import Miniature, pixels_of


@dataclass
class Frame:
    """A frame on its way through the shard.

    Attributes:
        miniature: None until it was made.
        image: in RGB at display size, if a later step needs it and it was converted.
        channels: the same for the detector only, if that takes frames with their channels apart.
        decoded: if a later step may need it in RGB and it was not converted.
        detections: None until then, and for frames in which no faces are detected.
    """

    number: int
    miniature: Miniature | None = None
    image: Image | None = None
    channels: Channels | None = None
    decoded: DecodedFrame | None = None
    detections: Detections | None = None

    def rgb(self) -> Image:
        """Return a frame that is saved, or that was converted for the detector, in RGB."""
        if self.image is None:
            assert self.decoded is not None
            with _ConversionErrors(self.decoded):
                self.image = self.decoded.image()
        return self.image


class _ConversionErrors:
    """Name film and frame in an error of the block, which may reach the user from another thread."""

    __slots__ = ("_frame",)

    def __init__(self, frame: DecodedFrame) -> None:
        self._frame = frame

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        where = f"{self._frame.film.path}: frame {self._frame.number}"
        if isinstance(error, (av.FFmpegError, OSError)):
            raise InputError(f"{where}: its picture cannot be converted ({error})") from error
        error.add_note(where)


@dataclass(slots=True)
class Conversion:
    """The conversions that a decoded frame needs.

    Attributes:
        detect: whether faces are detected in it.
        saved: whether a later step may need it.
        reduce: whether the host makes its miniature.
        target: place of the frame in the buffer of its batch; None if there is none.
        apart: whether the detector takes frames with their channels apart.
    """

    frame: Frame
    decoded: DecodedFrame
    detect: bool
    saved: bool
    reduce: bool
    target: NDArray[np.uint8] | None
    apart: bool = False


def convert(conversions: Sequence[Conversion], profile: Profile) -> None:
    """Convert some frames as needed; in any thread."""
    reduced = []
    converting, begun = 0.0, perf_counter()
    for one in conversions:
        with _ConversionErrors(one.decoded):
            if one.reduce:
                reduced.append((one.frame, one.decoded.reduced()))
            if one.detect:
                between = perf_counter()
                _convert_for_detector(one)
                converting += perf_counter() - between
    for frame, small in reduced:
        frame.miniature = pixels_of(small)
    profile.add("miniature", perf_counter() - begun - converting)
    profile.add("convert", converting)


def _convert_for_detector(conversion: Conversion) -> None:
    frame, decoded, target = conversion.frame, conversion.decoded, conversion.target
    if target is not None and target.ndim == 1:
        decoded.copy_planes(target)
        frame.decoded = decoded if conversion.saved else None
        return
    if conversion.apart and not conversion.saved:  # for crops, the channels are needed together
        frame.channels = decoded.channels()
        if frame.channels is not None:
            return
    frame.image = decoded.image()
    if target is not None:
        np.copyto(target, frame.image)
        frame.image = frame.image if conversion.saved else None
