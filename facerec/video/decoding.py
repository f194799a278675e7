"""Decoding a film from any of its frames on: containers, packets, seeking, damage.

Two ways of decoding stand behind every read. The *strict* one is quick (threads) and gives up at the
first sign of damage. The *lenient* one uses one thread, so that what a decoder makes of damaged data
depends on nothing but the place it began at, and drops the frames that the decoder calls corrupt.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

# Containers of single films. Not here: playlists and lists of files (hls, dash, concat, sdp), which
# would have a film's text name other files or hosts to read, and pictures and text, which are no film.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,vc1,"
    "flv,live_flv,asf,ogg,mxf,gxf,lxf,dv,nut,rm,wtv,swf,mjpeg,yuv4mpegpipe,dirac,h263,h261,nsv,nuv,roq,bink,smk,vob"
)
PREROLL = 1.0  # seconds decoded before the wanted frame, at least: leading pictures of an open GOP
FRAME_THREADS = {"h264", "vp9", "libdav1d"}
MAX_THREADS = 12  # of a decoder; H.264's reordering buffer has room for 16 frames
MAX_BIDIRECTIONAL = 16  # frames in a row predicted from both sides: as many as x264 makes
# Decoders that mend what is damaged in a frame from what lies around it, always in the same way. Of
# the others' frames, what is left of a broken picture may be anything that lay in memory before.
MENDING = {"h264", "mpeg4", "mpeg2video", "mpeg1video", "h263", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"}
DEMUX_RETRIES = 16  # unreadable packets in a row after which a film is taken to have ended


class Damage(Exception):
    """Strict decoding met something that is not as it should be; never leaves this package's reads."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of a film.

    Attributes:
        pts: (n,) int64, strictly increasing: presentation time of every frame, in `time_base`; the
            frames' numbers where the film carries no usable times.
        time_base: seconds a unit of `pts`.
        seekable: whether frames can be found by their time; if not, they are counted from the start.
        losses: what could not be read, a line each, for people.
    """

    pts: NDArray[np.int64]
    time_base: Fraction
    seekable: bool = True
    losses: tuple[str, ...] = ()

    def number(self, pts: int | None) -> int | None:
        """The frame shown at `pts`, if there is one at exactly that time."""
        if pts is None:
            return None
        rank = int(np.searchsorted(self.pts, pts))
        return rank if rank < len(self.pts) and self.pts[rank] == pts else None


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a film and its first video stream that is not a cover picture.

    Raises:
        InputError: it is no film, has no pictures, or may not be read.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a film")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); copy the film again")
        container = av.open(
            "file:" + os.path.abspath(path),
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            metadata_errors="ignore",
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such film") from None
    except PermissionError:
        raise InputError(f"{path}: no right to read it; see `ls -l` and ask its owner") from None
    except (av.FFmpegError, ValueError) as error:
        log.debug("%s: %s", path, error)
        raise InputError(f"{path}: {_what_is_wrong(path)}") from None
    with container:
        for stream in container.streams.video:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                break
        else:
            raise InputError(f"{path}: has no pictures, perhaps sound; is it the right file?")
        if stream.codec_context is None:
            raise InputError(f"{path}: its pictures are coded in a way that no decoder here knows")
        for other in container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all
        yield container, stream


def _what_is_wrong(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "its index (the moov atom) is missing or broken and nothing can be read; copy the film again"
    return "no film of a kind that can be read; is it a video file?"


def packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """The stream's packets with data; an unreadable one is stepped over."""
    failures = 0
    while failures <= DEMUX_RETRIES:
        try:
            for packet in container.demux(stream):
                failures = 0
                if packet.size:  # to a decoder an empty packet means the end of the film
                    yield packet
            return
        except IndexError:  # PyAV at the end of a damaged transport stream in which streams appeared
            return
        except (av.FFmpegError, ValueError, OSError):
            failures += 1


def _use_threads(context: VideoCodecContext, threads: int) -> None:
    """Let several threads decode, where damage that one of them meets is sure to be reported.

    H.264's decoder hands out a frame with its "corrupt" mark as it stands when the frame leaves the
    reordering buffer, which a thread that is still at the frame may set too late. So frames are held
    there until as many more have come as there are threads. Of the other decoders only those that
    report by an error, in the order of the packets, may have frames decoded side by side; HEVC's and
    VP8's keep errors to themselves there, and get threads within a frame alone.
    """
    threads = min(threads or len(os.sched_getaffinity(0)), MAX_THREADS)
    context.thread_count = threads
    context.thread_type = "FRAME" if context.name in FRAME_THREADS else "SLICE"
    if context.name == "h264":
        context.reorder_depth = min(16, context.reorder_depth + threads)


class Decoding:
    """One run of a decoder from one place of a film.

    Attributes:
        damaged: whether anything was wrong so far.
    """

    def __init__(self, path: Path, seek_to: int | None, threads: int | None) -> None:
        """Decode from `seek_to` (pts; None: the beginning), strictly with `threads`, leniently if None."""
        self.path, self.seek_to, self.strict = path, seek_to, threads is not None
        self.threads = 1 if threads is None else threads
        self.damaged = False
        self._key_pts: int | None = None  # of the key frame that decoding began at, or anew at
        self._settled = False  # past the pictures that refer to what lies before `seek_to`
        self._mending = False
        self._broken = self._muted = False  # until the next key frame is fed; until it has come out

    def _sign(self, what: object) -> None:
        self.damaged = True
        if self.strict and self._settled:
            raise Damage(str(what))

    def frames(self) -> Iterator[tuple[VideoFrame, bool]]:
        """Every frame that the decoder shows, and whether it is sound.

        Raises:
            Damage: strict, at the first sign of it.
        """
        with open_video(self.path) as (container, stream):
            context = stream.codec_context
            context.thread_count = 1
            self._mending = context.name in MENDING
            if self.strict:
                _use_threads(context, self.threads)
            if self.strict or not self._mending:
                context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
            if self.seek_to is not None:
                try:
                    container.seek(self.seek_to, stream=stream)
                except (av.FFmpegError, ValueError, OSError):
                    return
            for packet in packets(container, stream):
                if packet.is_keyframe and (self._key_pts is None or self._broken):
                    self._key_pts, self._broken = packet.pts, False
                if packet.is_corrupt:
                    self._break("a packet is corrupt")
                yield from self._feed(context, packet)
            yield from self._feed(context, None)

    def _break(self, what: object) -> None:
        self._sign(what)
        self._broken = self._muted = not self._mending

    def _feed(
        self, context: VideoCodecContext, packet: Packet[VideoStream] | None
    ) -> Iterator[tuple[VideoFrame, bool]]:
        try:
            frames = context.decode(packet)
        except (av.FFmpegError, ValueError, OSError) as error:
            self._break(error)
            return
        for frame in frames:
            leads = self._key_pts is not None and frame.pts is not None and frame.pts < self._key_pts
            self._settled |= not leads
            if frame.is_corrupt:
                self._sign("a frame is corrupt")
            if frame.key_frame and not leads and not self._broken:
                self._muted = False
            yield frame, not (frame.is_corrupt or self._muted or (leads and self.seek_to is not None))

    def numbered(self, index: FrameIndex) -> Iterator[tuple[int, VideoFrame]]:
        """(number, frame) of sound frames that are in the index, numbers increasing.

        Raises:
            Damage: strict, also where a number is missing.
        """
        last = -1
        for frame, sound in self.frames():
            if not sound or (frame.pts is not None and frame.pts < index.pts[0]):
                continue
            if frame.pts is not None and frame.pts > index.pts[-1]:
                return
            number = index.number(frame.pts)
            first = last < 0 and self.seek_to is not None
            if number is None or (number != last + 1 and not first):
                self._sign(f"frame {number} follows frame {last}")
            if number is not None and number > last:
                last = number
                yield number, frame


def _held_back(frames: Iterator[tuple[int, VideoFrame]]) -> Iterator[tuple[int, VideoFrame]]:
    """Each frame once those that it may have been predicted from have come out too, sound.

    A frame predicted from both sides is shown before one of them, and looks as that one looked to its
    thread, damaged or already mended.
    """
    waiting: deque[tuple[int, VideoFrame]] = deque()
    for item in frames:
        waiting.append(item)
        if len(waiting) > MAX_BIDIRECTIONAL:
            yield waiting.popleft()
    yield from waiting


def frames_around(
    path: Path, index: FrameIndex, number: int, threads: int | None
) -> Iterator[tuple[int, VideoFrame]]:
    """Decode from well before frame `number` on.

    Seeks to a second before it and, until the first frame that comes out lies before it, twice as far
    back. Where decoding begins depends on the film, `number` and the mode alone.

    Args:
        threads: of a strict decoder, 0 for as many as there are cores; None decodes leniently.

    Yields:
        (frame number, frame), numbers increasing, the first below `number` if that is above 0.

    Raises:
        Damage: strict, at the first sign of it.
    """
    if not index.seekable:
        lenient = Decoding(path, None, None).frames()
        yield from ((n, frame) for n, (frame, sound) in enumerate(lenient) if sound)
        return
    back = PREROLL
    while True:
        seek_to: int | None = int(index.pts[number]) - int(back / index.time_base)
        if number == 0 or seek_to is None or seek_to <= index.pts[0]:
            seek_to = None
        frames = Decoding(path, seek_to, threads).numbered(index)
        if threads is not None:
            frames = _held_back(frames)
        first = next(frames, None)
        if seek_to is None or (first is not None and first[0] < number):
            break
        back *= 2
    if first is not None:
        yield first
        yield from frames
