"""Decoding a film from any of its frames on: containers, packets, seeking, damage.

Two ways of decoding stand behind every read. The *strict* one is quick (threads) and gives up at the
first sign of damage. The *lenient* one uses one thread, so that what a decoder makes of damaged data
depends on nothing but the place it began at, and drops the frames that the decoder calls corrupt.
"""

from __future__ import annotations

import os
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
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Containers of single films. Not here: playlists and lists of files (hls, dash, concat, sdp), which
# would have a film's text name other files or hosts to read, and pictures and text, which are no film.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,m4v,h264,hevc,vvc,av1,obu,ivf,vc1,"
    "flv,live_flv,asf,ogg,mxf,gxf,lxf,dv,nut,rm,wtv,swf,mjpeg,yuv4mpegpipe,dirac,h263,h261,nsv,nuv,roq,bink,smk,vob"
)
PREROLL = 1.0  # seconds decoded before the wanted frame, at least: leading pictures of an open GOP
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
            "file:" + os.path.abspath(path),  # noqa: PTH100 — no resolve(): links stay as they are
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            metadata_errors="ignore",
        )
    except FileNotFoundError:
        raise InputError(f"{path}: no such film") from None
    except PermissionError:
        raise InputError(f"{path}: no right to read it; see `ls -l` and ask its owner") from None
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: {_what_is_wrong(path, error)}") from None
    with container:
        for stream in container.streams.video:
            if not stream.disposition & av.stream.Disposition.attached_pic:
                break
        else:
            raise InputError(f"{path}: has sound but no pictures; is it the right file?")
        for other in container.streams:
            if other is not stream:
                other.discard = av.stream.Discard.all
        yield container, stream


def _what_is_wrong(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(12)
    if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
        return "cut off before its index (the moov atom), nothing of it can be read; copy the film again"
    return f"not a film that can be read ({getattr(error, 'strerror', None) or error}); is it a video file?"


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
        except (av.FFmpegError, ValueError, OSError):
            failures += 1


class Decoding:
    """One run of a decoder from one place of a film.

    Attributes:
        damaged: whether anything was wrong so far.
        key_pts: time of the first key frame fed to the decoder.
    """

    def __init__(self, path: Path, seek_to: int | None, threads: int | None) -> None:
        """Decode from `seek_to` (pts; None: the beginning), strictly with `threads`, leniently if None."""
        self.path, self.seek_to, self.strict = path, seek_to, threads is not None
        self.threads = 1 if threads is None else threads
        self.damaged = False
        self.key_pts: int | None = None
        self._settled = False  # past the pictures that refer to what lies before `seek_to`

    def _sign(self, what: object) -> None:
        self.damaged = True
        if self.strict and self._settled:
            raise Damage(str(what))

    def frames(self) -> Iterator[VideoFrame]:
        """Frames as the decoder shows them, corrupt ones included if lenient.

        Raises:
            Damage: strict, at the first sign of it.
        """
        with open_video(self.path) as (container, stream):
            context = stream.codec_context
            context.thread_count = self.threads
            if self.strict:
                context.thread_type = "AUTO"
                context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
            if self.seek_to is not None:
                try:
                    container.seek(self.seek_to, stream=stream)
                except (av.FFmpegError, ValueError, OSError):
                    return
            for packet in packets(container, stream):
                if self.key_pts is None and packet.is_keyframe:
                    self.key_pts = packet.pts
                if packet.is_corrupt:
                    self._sign("a packet is corrupt")
                yield from self._feed(stream, packet)
            yield from self._feed(stream, None)

    def _feed(self, stream: VideoStream, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame]:
        try:
            frames = stream.codec_context.decode(packet)
        except (av.FFmpegError, ValueError, OSError) as error:
            self._sign(error)
            return
        for frame in frames:
            if not self._leads(frame):
                self._settled = True
            if frame.is_corrupt:
                self._sign("a frame is corrupt")
            yield frame

    def _leads(self, frame: VideoFrame) -> bool:
        """Whether the frame is shown before the key frame that decoding began at."""
        return self.key_pts is not None and frame.pts is not None and frame.pts < self.key_pts

    def numbered(self, index: FrameIndex) -> Iterator[tuple[int, VideoFrame]]:
        """(number, frame) of sound frames that are in the index, numbers increasing.

        Raises:
            Damage: strict, also where a number is missing.
        """
        last = -1
        for frame in self.frames():
            if frame.pts is not None and frame.pts < index.pts[0]:
                continue
            if frame.pts is not None and frame.pts > index.pts[-1]:
                return
            if self.seek_to is not None and self._leads(frame):
                continue
            number = index.number(frame.pts)
            first = last < 0 and self.seek_to is not None
            if number is None or (number != last + 1 and not first):
                self._sign(f"frame {number} follows frame {last}")
            if number is not None and number > last and not frame.is_corrupt:
                last = number
                yield number, frame


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
        yield from ((n, frame) for n, frame in enumerate(lenient) if not frame.is_corrupt)
        return
    back = PREROLL
    while True:
        seek_to: int | None = int(index.pts[number]) - int(back / index.time_base)
        if number == 0 or seek_to is None or seek_to <= index.pts[0]:
            seek_to = None
        frames = Decoding(path, seek_to, threads).numbered(index)
        first = next(frames, None)
        if seek_to is None or (first is not None and first[0] < number):
            break
        back *= 2
    if first is not None:
        yield first
        yield from frames


