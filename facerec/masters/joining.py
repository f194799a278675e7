"""Join films without encoding them again: their packets, with continuous times."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from facerec.errors import InputError
from facerec.support.signals import StopRequest
from facerec.video.container import FORMATS, open_video

log = logging.getLogger(__name__)

CONTAINERS = {".mkv": "matroska", ".mp4": "mp4", ".mov": "mov"}  # of the result, by its suffix
_STREAMED = {"mpeg", "mpegts", "vob"}  # formats that may be cut into parts at any byte
_INLINE = {"mpeg1video", "mpeg2video", "mjpeg", "dnxhd", "prores", "dvvideo", "rawvideo", "v210"}  # headers
_JUMP = 10  # seconds between packets; more, or less than none, is a new clock


@dataclass(frozen=True)
class Joined:
    """What was joined.

    Attributes:
        frames: number of packets of video.
        begins: number of packets of video before each part.
        sound: whether sound was copied.
    """

    frames: int
    begins: tuple[int, ...]
    sound: bool


def join_segments(
    segments: Sequence[tuple[Path, int]], staged: Path, suffix: str, rate: Fraction, tags: Mapping[str, str]
) -> None:
    """Join segments (film, frames) without B-frames into the file `staged`, a frame every 1/rate seconds.

    Args:
        tags: of the container.
    """
    with av.open(str(staged), "w", format=CONTAINERS[suffix]) as target:
        target.metadata.update(tags)
        stream: Any = None
        first = 0
        for path, frames in segments:
            with open_video(path) as (container, video):
                if stream is None:
                    stream = target.add_stream_from_template(video)
                    stream.time_base = 1 / rate
                found = 0
                for packet in container.demux(video):
                    if packet.size:
                        packet.pts = packet.dts = first + found
                        packet.duration = 1
                        packet.time_base = 1 / rate
                        packet.stream = stream
                        target.mux(packet)
                        found += 1
            if found != frames:
                raise InputError(
                    f"{path}: has {found} frames, not {frames}; remove it and run the command again"
                )
            first += frames


def join_parts(
    paths: Sequence[Path],
    times: Sequence[tuple[Fraction, Fraction]],
    staged: Path,
    suffix: str,
    stop: StopRequest,
    advance: Callable[[int], None],
) -> Joined:
    """Copy the packets of films into the file `staged`, one film after the other.

    Streams of bytes (`are_streams`) are read as one, since a frame may begin in one part and end in the next.
    The first sound stream is copied too, if all parts have one of the same kind.

    Sound that lasts longer than the pictures of its part ends with them.

    Args:
        times: of each part when its first frame is shown and its last one ends, in seconds; not for streams.
        advance: called with the number of bytes that were copied.

    Raises:
        InputError: the films cannot be joined without encoding them again.
    """
    inputs: list[tuple[Any, Any]] = (
        [(_Parts(paths), None)] if are_streams(paths) else list(zip(paths, times, strict=True))
    )
    try:
        with av.open(str(staged), "w", format=CONTAINERS[suffix]) as target:
            return _copy(inputs, target, stop, advance)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{paths[0]}: cannot be copied into {suffix[1:]} ({error}); "
            "encode the parts with --encode, or try --out with another suffix: .mkv, .mov"
        ) from None


def are_streams(paths: Sequence[Path]) -> bool:
    """Return whether all films are program or transport streams (VOB, MPG, TS), which may be cut anywhere."""
    formats = {_format_of(path) for path in paths}
    return len(formats) == 1 and formats <= _STREAMED


def check_joinable(paths: Sequence[Path]) -> None:
    """Check that the packets of all films can be in one; raises InputError if not."""
    inline = are_streams(paths)
    kinds = [_kind(path, inline) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        for name, ours, theirs in zip(_KIND, kind, kinds[0], strict=True):
            if ours != theirs:
                values = f" ({ours}, {theirs})" if name != "codec parameters" else ""
                raise InputError(
                    f"{path}: has another {name} than {paths[0]}{values}, so they cannot be joined without "
                    "encoding them again; run the command again with --encode"
                )


_KIND = ("codec", "size", "pixel format", "pixel aspect ratio", "codec parameters")


def _kind(path: Path, inline: bool) -> tuple[Any, ...]:
    with open_video(path) as (_, stream):
        context = stream.codec_context
        codec = context.codec.canonical_name
        size = f"{context.width}x{context.height}"
        extradata = None if inline or codec in _INLINE else bytes(context.extradata or b"")
        return codec, size, context.pix_fmt, stream.sample_aspect_ratio or Fraction(1), extradata


def _format_of(path: Path) -> str:
    with open_video(path) as (container, _):
        return str(container.format.name)


def _copy(
    inputs: Sequence[tuple[Any, tuple[Fraction, Fraction] | None]],
    target: Any,
    stop: StopRequest,
    advance: Callable[[int], None],
) -> Joined:
    streams: dict[str, Any] = {}
    begins: list[int] = []
    frames = 0
    clock = _Clock()
    sound = len({_sound_kind(one) for one, _ in inputs}) == 1
    for one, times in inputs:
        begins.append(frames)
        positions: list[int] = []  # of the packets in the file; in streams some packets do not say it
        with _opened(one) as container:
            chosen = [container.streams.video[0], *(container.streams.audio[:1] if sound else [])]
            for stream in chosen:
                if stream.type not in streams:
                    streams[stream.type] = target.add_stream_from_template(stream)
            clock.begin_part(times)
            for packet in container.demux(chosen):
                stop.check()
                kind = packet.stream.type
                if not packet.size or not clock.shift(packet, kind):
                    continue
                advance(packet.size)
                if kind == "video":
                    frames += 1
                    before = positions[-1] if positions else 0
                    positions.append(packet.pos if packet.pos is not None else before)
                packet.stream = streams[kind]
                target.mux(packet)
        if isinstance(one, _Parts):
            begins = [sum(position < begin for position in positions) for begin in one.begins]
    return Joined(frames, tuple(begins), sound and "audio" in streams)


class _Clock:
    """Shifts the times of packets so that the pictures of each part follow those of the part before."""

    def __init__(self) -> None:
        self._end = Fraction(0)  # when the pictures so far end, in seconds
        self._shift: Fraction | None = None
        self._part_end: Fraction | None = None
        self._last: dict[str, Fraction] = {}  # decoding time of the last packet, shifted

    def begin_part(self, times: tuple[Fraction, Fraction] | None) -> None:
        """Begin a part with pictures from `times[0]` to `times[1]`; None to take the times of its packets."""
        self._shift = self._part_end = None
        if times is not None:
            self._shift = self._end - times[0]
            self._part_end = self._end = times[1] + self._shift

    def shift(self, packet: Any, kind: str) -> bool:
        """Shift a packet; returns whether it is to be copied."""
        base = packet.time_base
        shown = packet.pts if packet.pts is not None else packet.dts
        if shown is None:
            raise ValueError("a packet has no time")
        decoded = packet.dts if packet.dts is not None else shown
        if self._shift is None:
            self._shift = self._end - shown * base
        last = self._last.get(kind)
        if self._part_end is None and last is not None:
            step = decoded * base + self._shift - last
            if not -Fraction(1, 2) <= step <= _JUMP:
                log.warning("the clock jumps by %.2f s after %.2f s; it continues", float(step), float(last))
                self._shift = self._end - shown * base
        ticks = round(self._shift / base)
        packet.pts, packet.dts = shown + ticks, decoded + ticks
        ends = (packet.pts + (packet.duration or 1)) * base
        if kind == "audio":
            too_late = self._part_end is not None and ends > self._part_end
            if too_late or packet.pts < 0 or (last is not None and packet.dts * base <= last):
                return False
        elif self._part_end is None:
            self._end = max(self._end, ends)
        self._last[kind] = packet.dts * base
        return True


class _Parts(io.RawIOBase):
    """Files, read as if they were one."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)
        self.begins, total = [], 0
        for path in paths:
            self.begins.append(total)
            total += path.stat().st_size
        self._bytes, self._position = total, 0
        self._open: tuple[int, io.BufferedReader] | None = None
        self.name = os.path.abspath(paths[0])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._position >= self._bytes or size == 0:
            return b""
        index = max(k for k, begin in enumerate(self.begins) if begin <= self._position)
        if self._open is None or self._open[0] != index:
            self.close_part()
            self._open = index, self._paths[index].open("rb")
        file = self._open[1]
        file.seek(self._position - self.begins[index])
        data = file.read(size if size > 0 else 1 << 20)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def close_part(self) -> None:
        """Close the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def _opened(source: Any) -> Any:
    file = source if isinstance(source, _Parts) else "file:" + os.path.abspath(source)
    return av.open(
        file,
        options={"format_whitelist": FORMATS, "protocol_whitelist": "file", "fflags": "+genpts"},
        metadata_errors="ignore",
    )


def _sound_kind(source: Any) -> tuple[Any, ...] | None:
    with _opened(source) as container:
        for stream in container.streams.audio:
            context = stream.codec_context
            if context is not None:
                return context.codec.canonical_name, context.sample_rate, context.layout.name
    return None
