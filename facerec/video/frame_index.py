"""Which frames a film has.

A frame's number is its rank by presentation time among the frames of the film. Reading the packets'
times costs a fraction of decoding, so that is how a film is counted; its head and tail are decoded
to see that packets and frames agree, and a film where they do not is counted by decoding all of it.
"""

from __future__ import annotations

import logging
import zlib
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from facerec.errors import InputError
from facerec.video.decoding import PREROLL, Decoding, FrameIndex, frames_around, open_video, packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

HEAD = 96  # frames at a film's beginning that are decoded to see that packets are frames
SEEKS = 9  # one more than the places to which seeks are tried
TAIL = 64  # frames at its end; more where none of them decodes


def build_index(path: Path) -> FrameIndex:
    """Find all frames of a film.

    Raises:
        InputError: it is no film, or not one frame of it can be decoded.
    """
    with open_video(path) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        declared, duration = stream.frames, container.duration
        losses = _other_pictures(container, stream)
        sizes: dict[int, int] = {}  # by time, of the packets whose frames are shown
        shown = count = corrupt = jumps = 0
        before: int | None = None
        for packet in packets(container, stream):
            count += 1
            corrupt += packet.is_corrupt
            if packet.dts is not None:
                jumps += before is not None and packet.dts < before
                before = packet.dts
            if not packet.is_discard:
                shown += 1
                if packet.pts is not None:
                    sizes[packet.pts] = packet.size
    index = None
    if not jumps and len(sizes) == shown > 0 and _seeks_lead_back(path, sizes, time_base):
        index = _checked(path, sorted(sizes), time_base)
    if index is None:
        log.warning("%s: its packets do not tell its frames; counting them by decoding all of it", path)
        index = _index_by_decoding(path, time_base)
    losses += _cut_short(index, count, declared, duration)
    if corrupt:
        losses.append(f"{corrupt} of {count} packets are marked as corrupt")
    return FrameIndex(index.pts, index.time_base, index.seekable, tuple(losses))


def _other_pictures(container: InputContainer, stream: VideoStream) -> list[str]:
    """Which further streams of moving pictures the film has; the labeling backend shows the first, too."""
    cover = av.stream.Disposition.attached_pic
    found = [other for other in container.streams.video if other != stream and not other.disposition & cover]
    if not found:
        return []
    sizes = ", ".join(f"{other.width}x{other.height}" for other in found)
    return [f"of {len(found) + 1} video streams only the first is read, the others ({sizes}) are not"]


def _cut_short(index: FrameIndex, count: int, declared: int, duration: int | None) -> list[str]:
    """Where less was read than the container promises: frames (`declared`) or time (`duration`).

    Frames that an edit list leaves out are promised, but not as time; the time of a Matroska film that
    begins late counts from zero.
    """
    first, last = (int(pts) * index.time_base for pts in (index.pts[0], index.pts[-1]))
    promised = Fraction(duration or 0, av.time_base)
    if declared > count:
        missing = (declared - count) * (last - first) / max(count - 1, 1)
        if not (promised and index.seekable) or promised - (last - first) > missing / 2:
            return [f"the container promises {declared} frames, {count} could be read"]
    elif not declared and index.seekable and max(last, last - first) < promised * 49 / 50 - 1:
        return [f"the container promises {float(promised):.1f} s, {float(last):.1f} s could be read"]
    return []


def _seeks_lead_back(path: Path, sizes: dict[int, int], time_base: Fraction) -> bool:
    """Whether packets have the same times after seeks as in one go; an AVI's damaged index changes them."""
    times = sorted(sizes)
    for k in range(1, SEEKS):
        wanted = times[len(times) * k // SEEKS]
        with open_video(path) as (container, stream):
            try:
                container.seek(wanted - int(PREROLL / time_base), stream=stream)
            except (av.FFmpegError, ValueError, OSError):
                continue  # a read will find that, too, and decode from the start
            found = ((packet.pts, packet.size) for packet in packets(container, stream))
            after = ((pts, size) for pts, size in found if pts is not None and pts >= wanted)
            if any(sizes.get(pts, size) != size for pts, size in islice(after, 16)):
                return False
    return True


def _checked(path: Path, times: list[int], time_base: Fraction) -> FrameIndex | None:
    """The index that the packets' times make, if its head and tail decode to just that."""
    index = FrameIndex(np.array(times, dtype=np.int64), time_base)
    decoding = Decoding(path, None, None)
    frames = list(islice(((frame.pts, sound) for frame, sound in decoding.frames()), HEAD))
    numbers = [index.number(pts) for pts, _ in frames]
    if None in numbers or any(b <= a for a, b in pairwise(numbers)):  # type: ignore[operator]
        return None
    sound = [number for number, (_, is_sound) in zip(numbers, frames, strict=True) if is_sound]
    if sound and len(sound) < sound[-1] - sound[0] + 1 and not decoding.damaged:  # type: ignore[operator]
        return None
    first = next(iter(sound), None)
    if first is None:
        first = next((number for number, _ in Decoding(path, None, None).numbered(index)), None)
    if first is None:
        raise InputError(f"{path}: not one picture of it can be decoded")
    return FrameIndex(index.pts[first : _end(path, index)], time_base)


def _end(path: Path, index: FrameIndex) -> int:
    """The number after the last frame that decodes."""
    count, tail = len(index.pts), TAIL
    while True:
        begin = max(0, count - tail)
        last = max((number for number, _ in frames_around(path, index, begin, None)), default=-1)
        if last >= begin or begin == 0:
            return last + 1
        tail *= 4


def _index_by_decoding(path: Path, time_base: Fraction) -> FrameIndex:
    """Count frames by decoding them; by their times if those lead back to the same pictures."""
    seen = [(frame.pts, _checksum(frame)) for frame, _ in Decoding(path, None, None).frames()]
    if not seen:
        raise InputError(f"{path}: not one picture of it can be decoded")
    times = [pts for pts, _ in seen if pts is not None]
    if len(times) == len(seen) and all(a < b for a, b in pairwise(times)):
        index = FrameIndex(np.array(times, dtype=np.int64), time_base)
        if all(_leads_back(path, index, n, seen[n][1]) for n in {len(seen) * k // 5 for k in range(1, 5)}):
            return index
    return FrameIndex(np.arange(len(seen), dtype=np.int64), time_base, seekable=False)


def _leads_back(path: Path, index: FrameIndex, number: int, checksum: int) -> bool:
    found = next((frame for n, frame in frames_around(path, index, number, None) if n >= number), None)
    return found is not None and _checksum(found) == checksum


def _checksum(frame: VideoFrame) -> int:
    return zlib.crc32(bytes(frame.planes[0]))
