"""Parts of a film file that its demuxer passes over: holes, another programme, another film appended to it.

Downloads and copies that were never completed have blocks of zeros. Recorders change the programme within a
transport stream, and people join files with `cat`. A demuxer passes over all of them without an error. A part
is suspicious if it is large and no packet of the film lies in it. It is reported if it holds zeros or video.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Set
from pathlib import Path
from typing import BinaryIO

import av

# a suspicious part has a 20th of the bytes, within these limits
_LEAST, _MOST, _SHARE = 64 << 10, 1 << 20, 20
_PROBED = 16 << 20  # bytes of a part that are searched
_STREAMS = {"mpegts", "mpeg"}  # containers that can be read from any byte on
# other containers: bytes near the start of a file, and their position
_STARTS = {
    "matroska,webm": (b"\x1aE\xdf\xa3", 0),
    "flv": (b"FLV\x01", 0),
    "mov,mp4,m4a,3gp,3g2,mj2": (b"ftyp", 4),
    "asf": (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", 0),
}
_FRAGMENT = b"moofmfhd"  # types of the boxes with which a fragment of an MP4 begins


class UnreadParts:
    """Finds the parts; `add` each packet of the film in the order of the file.

    Args:
        format_name: FFmpeg's name of the container.
        known: ids of the streams that were found when the file was opened.
    """

    def __init__(self, path: Path, format_name: str, known: Set[int]) -> None:
        self._path, self._format, self._known = path, format_name, known
        self._bytes = path.stat().st_size
        self._least = max(_LEAST, min(_MOST, self._bytes // _SHARE))
        self._parts: list[tuple[int, int, int]] = []  # begin, end, number of packets before it
        # a transport stream has nothing but packets, so none is missing before its first one
        self._last: int | None = 0 if format_name in _STREAMS else None
        self._count = 0

    def add(self, position: int | None) -> None:
        """Add the position of a packet in the file, in bytes; None or -1 if it is unknown."""
        if position is not None and position >= 0:
            if self._last is not None:
                self._add_part(self._last, position)
            self._last = position
        self._count += 1

    def losses(self) -> list[str]:
        """Describe the parts that hold zeros or video; call it after the last packet."""
        if self._last is not None:
            self._add_part(self._last, self._bytes)
        return [text for begin, end, count in self._parts for text in self._describe(begin, end, count)]

    def _add_part(self, begin: int, end: int) -> None:
        if end - begin > self._least:
            self._parts.append((begin, end, self._count))

    def _describe(self, begin: int, end: int, count: int) -> Iterator[str]:
        size = f"{(end - begin) / 1e6:.1f} MB of the file after about {count} frames"
        with self._path.open("rb") as file:
            file.seek(begin)
            start = file.read(min(end - begin, _PROBED))
            if start.count(0) > len(start) // 2:
                yield f"{size} hold zeros in place of video, as after an incomplete download; copy it again"
            elif end == self._bytes and self._has_fragment(start):
                yield f"{size} hold fragments of the film behind a damaged one and are not read; copy it"
            elif self._has_video(file, begin, end, start):
                yield (
                    f"{size} hold video of another programme or film, which is not read; "
                    "cut the file there and join the parts with ffmpeg's concat filter"
                )

    def _has_fragment(self, start: bytes) -> bool:
        boxes = (start[at : at + 4] + start[at + 8 : at + 12] for at in _find_all(start, _FRAGMENT[:4]))
        return self._format.startswith("mov") and _FRAGMENT in boxes

    def _has_video(self, file: BinaryIO, begin: int, end: int, start: bytes) -> bool:
        """Return whether a part has a video stream that is not among the known ones."""
        if self._format in _STREAMS:
            return bool(_video_streams(_Part(file, begin, end), self._format) - self._known)
        if self._format not in _STARTS:
            return False
        signature, offset = _STARTS[self._format]
        at = start.find(signature, offset + 1) - offset
        return at > 0 and bool(_video_streams(_Part(file, begin + at, end), self._format))


def _find_all(data: bytes, part: bytes) -> Iterator[int]:
    at = data.find(part)
    while at >= 0:
        yield at
        at = data.find(part, at + 1)


def _video_streams(part: _Part, format_name: str) -> set[int]:
    try:
        with av.open(part, format=format_name.partition(",")[0], metadata_errors="ignore") as container:
            return {stream.id for stream in container.streams.video if stream.codec_context is not None}
    except (av.FFmpegError, ValueError, OSError, IndexError):
        return set()


class _Part(io.RawIOBase):
    """The bytes `[begin, end)` of a file as a file."""

    def __init__(self, file: BinaryIO, begin: int, end: int) -> None:
        self._file, self._begin, self._end, self._position = file, begin, end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        left = self._end - self._begin - self._position
        self._file.seek(self._begin + self._position)
        data = self._file.read(max(0, left if size < 0 else min(size, left)))
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._end - self._begin}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position
