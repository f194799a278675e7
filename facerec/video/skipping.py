"""Packets that are not decoded, and that no other frame refers to: unwanted ones and damaged ones.

Known for codecs in which such a frame can be left out without a change of any other: H.264's pictures that
are marked as no reference (nal_ref_idc 0), about half of the frames of most films, and all pictures of codecs
without prediction between frames. Damage of a B picture of MPEG-2 or HEVC may lose others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facerec.video.h264_headers import SLICE, unit_reader

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

_H264_IGNORABLE = {6, 9, 12}  # types of NAL units: supplemental information, delimiter, filler


class UnwantedPackets:
    """Skips the packets of frames that are not wanted, in one run of a decoder, and remembers them.

    Args:
        number_of: returns the number of the frame with a presentation time, None if there is none.
        wanted: (frames of the film,) whether each is wanted.
    """

    def __init__(self, number_of: Callable[[int | None], int | None], wanted: NDArray[np.bool_]) -> None:
        self._number_of, self._wanted = number_of, wanted
        self._skipped: set[int] = set()
        self._is_no_reference: Callable[[Packet[VideoStream]], bool] | None = None
        self._begun = False

    def open(self, context: VideoCodecContext) -> None:
        """Begin with the decoder's first packet, which is never skipped."""
        self._is_no_reference, self._begun = reference_test(context), False
        self._skipped.clear()

    def skips(self, packet: Packet[VideoStream]) -> bool:
        """Return whether the decoder does not need a packet; to be called for each, in their order."""
        begun, self._begun = self._begun, True
        if not begun or self._is_no_reference is None:
            return False
        number = self._number_of(packet.pts)
        if number is None or self._wanted[number] or not self._is_no_reference(packet):
            return False
        self._skipped.add(number)
        return True

    def skipped_all(self, frames: range) -> bool:
        """Return whether all these frames were skipped, and forget them."""
        found = self._skipped.issuperset(frames)
        self._skipped.difference_update(frames)
        return found

    def report_damage(self, pts: int | None) -> None:
        """Do nothing: all packets that are decoded are needed."""


class DamagedPackets:
    """Finds damaged packets that no other frame refers to in one run of a decoder; the next run skips them.

    FFmpeg's H.264 decoder keeps the coefficients of a block that it could not read, and adds them to the next
    picture, from which they spread to all frames up to the next key frame. A flipped bit in the header of a
    picture may still change the frames after it without any sign; one in its number is noticed, see
    `h264_headers`.
    """

    def __init__(self) -> None:
        self.found: set[int] = set()
        self._disposable: set[int] = set()
        self._is_no_reference: Callable[[Packet[VideoStream]], bool] | None = None

    def open(self, context: VideoCodecContext) -> None:
        """Begin a run."""
        self._is_no_reference = reference_test(context)

    def skips(self, packet: Packet[VideoStream]) -> bool:
        """Return whether the run before this one found damage in a packet."""
        if packet.pts is None or self._is_no_reference is None:
            return False
        if packet.pts in self.found:
            return True
        if self._is_no_reference(packet):
            self._disposable.add(packet.pts)
        return False

    def skipped_all(self, frames: range) -> bool:
        """Return False: what is skipped is lost."""
        return False

    def report_damage(self, pts: int | None) -> None:
        """Record that the packet or frame of a presentation time is damaged."""
        if pts is not None and pts in self._disposable:
            self.found.add(pts)


def reference_test(context: VideoCodecContext) -> Callable[[Packet[VideoStream]], bool] | None:
    """Return a function that says whether no other frame refers to those of a packet; None if unknown."""
    if context.codec.intra_only:
        return lambda _: True
    if context.name == "h264":
        units = unit_reader(context)
        return lambda packet: _is_no_h264_reference(units(packet))
    return None


def _is_no_h264_reference(units: Iterator[bytes]) -> bool:
    """Return whether a packet has nothing but pictures that are no references.

    Args:
        units: the NAL units; b"" where the packet is damaged.
    """
    pictures = 0
    for unit in units:
        if not unit:
            return False
        kind, reference = unit[0] & 31, unit[0] >> 5
        if kind == SLICE and reference == 0:
            pictures += 1
        elif kind not in _H264_IGNORABLE:
            return False
    return pictures > 0
