"""Decode a film from any frame on, also where its data are damaged.

There are two modes. *Strict* decoding is fast (threads) and stops with `DamagedFilm` at the first sign of
damage. *Lenient* decoding uses one thread, so that the output for damaged data depends only on the position
where decoding began, and drops the frames that the decoder marks as corrupt. Damaged frames that no other
refers to are not decoded in a second run, so that they change no other frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from facerec.support.limits import cpu_threads
from facerec.video.container import open_video, packets
from facerec.video.frame_copies import FrameCopier
from facerec.video.h264_headers import PacketHeaders
from facerec.video.skipping import DamagedPackets, UnwantedPackets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PREROLL = 1.0  # minimum seconds decoded before a requested frame, for the leading pictures of an open GOP
FRAME_THREADS = {"h264", "vp9", "libdav1d"}
MAX_THREADS = 12  # of a decoder; H.264's reordering buffer holds 16 frames
# Least and most threads of decoders that notice and conceal damage in another way if one thread decodes all
# of a frame (HEVC's rows), or depending on where the part of each thread ends.
SLICE_THREADS = {"hevc": (2, MAX_THREADS), "mpeg2video": (1, 1), "mpeg1video": (1, 1), "vp8": (1, 1)}
# Packets that are read without decoding in between, which displaces this code from the processor's caches.
PACKETS = 8
MAX_LATENCY = 64  # packets after which one without a frame will not get one; more than any decoder holds back
# Decoders that conceal damage within a frame from its surroundings, deterministically. With the others,
# damaged parts of a frame may contain arbitrary earlier contents of the memory.
CONCEALING = {"h264", "mpeg4", "mpeg2video", "mpeg1video", "h263", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}


class DamagedFilm(Exception):
    """Strict decoding found damage; handled inside this package."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a film.

    Attributes:
        pts: (n,) int64, strictly increasing: presentation time of every frame, in units of `time_base`; the
            frame numbers if the film has no usable times.
        time_base: seconds per unit of `pts`.
        seekable: whether frames can be found by their time; if not, they are counted from the start.
        losses: messages about parts that could not be read.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    seekable: bool = True
    losses: tuple[str, ...] = ()

    def number(self, pts: int | None, guess: int = 0) -> int | None:
        """Return the number of the frame with presentation time `pts`; None if there is none.

        Args:
            guess: a number that is tried first, to save time.
        """
        if pts is None:
            return None
        if guess < len(self.pts) and self.pts.item(guess) == pts:
            return guess
        rank = int(np.searchsorted(self.pts, pts))
        return rank if rank < len(self.pts) and self.pts[rank] == pts else None


def _use_threads(context: VideoCodecContext, threads: int) -> None:
    """Enable threads in ways that still report all damage.

    H.264: the decoder outputs a frame with the "corrupt" flag that it has when the frame leaves the
    reordering buffer, but a thread still working on the frame may set the flag later. So the buffer is
    extended by as many frames as there are threads. Other decoders may decode frames in parallel only if
    they report damage as an error, in packet order (`FRAME_THREADS`). The rest, among them HEVC's and VP8's,
    which hide errors in that mode, get threads within a frame only. `SLICE_THREADS` keeps the number of
    threads from deciding which damage is noticed.
    """
    least, most = SLICE_THREADS.get(context.name, (1, MAX_THREADS))
    threads = min(max(threads, least), most)
    context.thread_count = threads
    context.thread_type = "FRAME" if context.name in FRAME_THREADS else "SLICE"
    if context.name == "h264":
        context.reorder_depth = min(16, context.reorder_depth + threads)


class Decoding:
    """One run of a decoder from one position in a film.

    Attributes:
        damaged: whether damage was found so far.
        place: of the last frame that came out, in the order of decoding; infinite if that is not known.
        fails_for_ever: whether no packet can be decoded after one that cannot: H.264 with several threads.
    """

    def __init__(
        self,
        path: Path,
        seek_to: int | None,
        threads: int | None,
        skipping: UnwantedPackets | DamagedPackets | None = None,
    ) -> None:
        """Prepare a run; nothing is opened yet.

        Args:
            seek_to: pts to start from; None for the beginning.
            threads: of strict decoding, 0 for `cpu_threads()`; None decodes leniently.
            skipping: chooses packets that are not decoded.
        """
        self.path, self.seek_to, self.strict = path, seek_to, threads is not None
        self._skipping = skipping
        self.threads = 1 if threads is None else min(threads or cpu_threads(), MAX_THREADS)
        self.damaged = self.fails_for_ever = False
        self.place = math.inf
        self._fed: dict[int, int] = {}  # places of packets in the order of decoding, without a frame so far
        self._key_pts: int | None = None  # of the key frame where decoding started or resumed
        self._settled = False  # past the leading pictures, which refer to frames before `seek_to`
        self._is_h264 = False
        self._headers: PacketHeaders | None = None
        self._copier = FrameCopier()
        self._lacks_picture = False  # a reference picture, before the last packet
        self._conceals = False
        self._waits_for_key_packet = False  # after damage, until the next key frame is fed to the decoder
        self._drops_frames = False  # after damage, until that key frame comes out of the decoder

    def _report_damage(self, what: object, pts: int | None = None) -> None:
        """Record damage; raise DamagedFilm in strict mode, except among the leading pictures."""
        self.damaged = True
        if self._skipping is not None:
            self._skipping.report_damage(pts)
        if self.strict and self._settled:
            raise DamagedFilm(str(what))

    def frames(self) -> Iterator[tuple[VideoFrame, bool]]:
        """Decode all frames.

        Yields:
            (frame, whether it is intact), in presentation order.

        Raises:
            DamagedFilm: in strict mode, at the first sign of damage.
        """
        with open_video(self.path) as (container, stream):
            context = stream.codec_context
            context.thread_count = 1
            self._conceals = context.name in CONCEALING
            self._is_h264 = context.name == "h264"
            self.fails_for_ever = self._is_h264 and self.threads > 1
            if self.strict:
                _use_threads(context, self.threads)
            if self.strict or not self._conceals:
                context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
            if self.seek_to is not None:
                try:
                    container.seek(self.seek_to, stream=stream)
                except (av.FFmpegError, ValueError, OSError):
                    return
            if self._skipping is not None:
                self._skipping.open(context)
            if self._is_h264 and self.strict:
                self._headers = PacketHeaders(context)
            for place, (packet, lacks_picture) in enumerate(self._packets(container, stream)):
                if self.damaged and self.fails_for_ever:
                    return
                if packet.is_keyframe and (self._key_pts is None or self._waits_for_key_packet):
                    self._key_pts, self._waits_for_key_packet = packet.pts, False
                self._lacks_picture |= lacks_picture
                if self._lacks_references(packet):
                    self._lacks_picture = False
                    continue
                if packet.is_corrupt:
                    self._interrupt("a packet is corrupt", packet.pts)
                elif self._skipping is not None and self._skipping.skips(packet):
                    continue
                if packet.pts is not None:
                    self._fed[packet.pts] = place
                    if place - self.first_missing > MAX_LATENCY:
                        del self._fed[next(iter(self._fed))]
                if self._lacks_picture:
                    self._report_damage("a picture is missing that others refer to")
                yield from self._feed(context, packet)
            yield from self._feed(context, None)

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[Packet[VideoStream], bool]]:
        """Yield the packets, and before which of them pictures are missing; read in groups."""
        headers = self._headers
        source = packets(container, stream)
        for group in iter(lambda: list(islice(source, PACKETS)), []):
            lacks = [headers is not None and headers.lack_references(packet) for packet in group]
            yield from zip(group, lacks, strict=True)

    def _lacks_references(self, packet: Packet[VideoStream]) -> bool:
        """Return whether a packet refers to frames before `seek_to`, and may cause a lasting error."""
        if self.seek_to is None or not self.fails_for_ever or packet.pts is None:
            return False
        return self._key_pts is None or packet.pts < self._key_pts

    def _interrupt(self, what: object, pts: int | None) -> None:
        """Report damage, and drop frames until the next key frame unless the decoder conceals."""
        self._report_damage(what, pts)
        self._waits_for_key_packet = self._drops_frames = not self._conceals

    def _feed(
        self, context: VideoCodecContext, packet: Packet[VideoStream] | None
    ) -> Iterator[tuple[VideoFrame, bool]]:
        try:
            frames = context.decode(packet)
        except (av.FFmpegError, ValueError, OSError) as error:
            self._interrupt(error, None if packet is None else packet.pts)
            return
        for frame in frames:
            self.place = math.inf if frame.pts is None else self._fed.pop(frame.pts, math.inf)
            is_leading = self._key_pts is not None and frame.pts is not None and frame.pts < self._key_pts
            self._settled |= not is_leading
            if frame.is_corrupt:
                self._report_damage("a frame is corrupt", frame.pts)
            if frame.key_frame and not is_leading and not self._waits_for_key_packet:
                self._drops_frames = False
            lacks_references = is_leading and self.seek_to is not None
            is_intact = not (frame.is_corrupt or self._drops_frames or lacks_references)
            yield frame if self.strict else self._copier.copy(frame), is_intact

    def numbered(self, index: FrameIndex) -> Iterator[tuple[int, VideoFrame]]:
        """Decode the intact frames that are in the index.

        Yields:
            (frame number, frame), numbers increasing.

        Raises:
            DamagedFilm: in strict mode, at the first sign of damage or missing frame.
        """
        last = -1
        earliest, latest = int(index.pts[0]), int(index.pts[-1])
        for frame, intact in self.frames():
            pts = frame.pts
            if not intact or (pts is not None and pts < earliest):
                continue
            if pts is not None and pts > latest:
                return
            number = index.number(pts, guess=last + 1)
            first = last < 0 and self.seek_to is not None
            if number is None or number <= last or not (first or self._all_skipped(last + 1, number)):
                self._report_damage(f"frame {number} follows frame {last}")
            if number is not None and number > last:
                last = number
                yield number, frame

    def _all_skipped(self, beg: int, end: int) -> bool:
        """Return whether all frames `[beg, end)` were skipped, if there are any."""
        return beg == end or (self._skipping is not None and self._skipping.skipped_all(range(beg, end)))

    def began_at_key_frame(self, first: VideoFrame) -> bool:
        """Return whether decoding began at a key frame or at the beginning, if its first frame is `first`.

        Frames after a gradual refresh of H.264 count as recovered, but are not exactly those that the encoder
        had: they may still be predicted from parts that were not refreshed.
        """
        return self.seek_to is None or not self._is_h264 or first.pts == self._key_pts

    @property
    def header(self) -> bytes | None:
        """The sequence header that all frames so far were decoded with; None if that is not known."""
        return self._headers.sequence if self._headers is not None else None

    @property
    def first_missing(self) -> float:
        """The first place in the order of decoding without a frame so far; infinite if there is none."""
        return next(iter(self._fed.values()), math.inf)
