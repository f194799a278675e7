"""Index the frames of a film.

A frame's number is its rank by presentation time. The index comes from the packets' times, which takes a
fraction of the time of decoding. The head and tail of the film are decoded to check that packets and frames
agree; if they do not, the whole film is decoded.
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
from facerec.video.container import open_video, packets
from facerec.video.decoding import PREROLL, Decoding, FrameIndex
from facerec.video.seeking import frames_around
from facerec.video.skipping import UnwantedPackets
from facerec.video.unread_parts import UnreadParts

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from facerec.video.identity import HashedFile

log = logging.getLogger(__name__)

HEAD = 96  # frames decoded at the start of a film for the check
TAIL = 64  # frames decoded at its end, and more if none of them decodes
_STEADY_SHARE = 0.95  # of the frames, which follow each other in equal steps in a film of one frame rate
_LEAST_JUMP_S = 0.2  # between two frames of such a film; cameras drop single frames
SEEK_INTERVALS = 9  # seeks are checked at the positions between these equal parts of a film


def build_index(path: Path, file: HashedFile | None = None) -> FrameIndex:
    """Find all frames of a film.

    Args:
        file: read the packets through this open file.

    Raises:
        InputError: the file is not a film, or no frame of it can be decoded.
    """
    with open_video(path, file) as (container, stream):
        time_base = stream.time_base or Fraction(1, 1000)
        declared, duration = stream.frames, container.duration
        losses = _ignored_streams(container, stream)
        sizes: dict[int, int] = {}  # of packets with visible frames, by pts
        shown = count = corrupt = jumps = 0
        last_dts: int | None = None
        damage: list[int] = []  # number of packets before each place that cannot be read
        unread = UnreadParts(path, container.format.name, {other.id for other in container.streams})
        for packet in packets(container, stream, damage):
            count += 1
            unread.add(packet.pos)
            corrupt += packet.is_corrupt
            if packet.dts is not None:
                jumps += last_dts is not None and packet.dts < last_dts
                last_dts = packet.dts
            if not packet.is_discard:
                shown += 1
                if packet.pts is not None:
                    sizes[packet.pts] = packet.size
    index = None
    if not jumps and len(sizes) == shown > 0 and _seeks_are_exact(path, sizes, time_base):
        index = _index_from_packets(path, sorted(sizes), time_base)
    if index is None:
        log.warning("%s: packet times do not match the frames; decoding the whole film to count them", path)
        index = _index_by_decoding(path, time_base, shown, losses)
    losses += unread.losses()
    losses += _jumps(index)
    if damage:
        places = "1 place" if len(damage) == 1 else f"{len(damage)} places"
        losses.append(f"data could not be read at {places}, the first after about {damage[0]} frames")
    losses += _truncation(index, count, declared, duration)
    if corrupt:
        losses.append(f"{corrupt} of {count} packets are marked as corrupt")
    return FrameIndex(index.pts, index.time_base, index.seekable, tuple(losses))


def _ignored_streams(container: InputContainer, stream: VideoStream) -> list[str]:
    """Describe further video streams; the labeling backend shows the first one, too."""
    cover = av.stream.Disposition.attached_pic
    found = [other for other in container.streams.video if other != stream and not other.disposition & cover]
    if not found:
        return []
    sizes = ", ".join(f"{other.width}x{other.height}" for other in found)
    return [f"of {len(found) + 1} video streams only the first is read, the others ({sizes}) are not"]


def _truncation(index: FrameIndex, count: int, declared: int, duration: int | None) -> list[str]:
    """Describe what is missing compared with the frames (`declared`) or time (`duration`) of the container.

    Frames that an edit list hides count as declared frames but not as duration. The duration of a Matroska
    film that starts late counts from zero.

    Args:
        count: packets read.
        duration: in units of 1 / `av.time_base` seconds.
    """
    first, last = (int(pts) * index.time_base for pts in (index.pts[0], index.pts[-1]))
    expected = Fraction(duration or 0, av.time_base)
    if declared > count:
        missing = (declared - count) * (last - first) / max(count - 1, 1)
        if not (expected and index.seekable) or expected - (last - first) > missing / 2:
            return [f"the container declares {declared} frames, {count} could be read"]
    elif not declared and index.seekable and max(last, last - first) < expected * 49 / 50 - 1:
        return [f"the container declares {float(expected):.1f} s, {float(last):.1f} s could be read"]
    return []


def _jumps(index: FrameIndex) -> list[str]:
    """Describe where the times of a film of one frame rate jump, because frames are missing there."""
    steps = np.diff(index.pts)
    if not index.seekable or len(steps) < TAIL:
        return []
    step = float(np.median(steps))
    tolerance = max(1.0, step / 10)  # times may be rounded to the container's unit
    if np.mean(np.abs(steps - step) <= tolerance) < _STEADY_SHARE:
        return []
    at = np.flatnonzero(
        steps * float(index.time_base) > max(_LEAST_JUMP_S, 1.5 * step * float(index.time_base))
    )
    if not len(at):
        return []
    places = f"{len(at)} place{'s' * (len(at) > 1)}, the first after {at[0] + 1} frames"
    missing = float((steps[at] - step).sum() * index.time_base)
    return [f"the times of the frames jump by {missing:.1f} s at {places}: frames are missing there"]


def _seeks_are_exact(path: Path, sizes: dict[int, int], time_base: Fraction) -> bool:
    """Check that packets have the same times after a seek; a damaged AVI index changes them."""
    times = sorted(sizes)
    for k in range(1, SEEK_INTERVALS):
        target = times[len(times) * k // SEEK_INTERVALS]
        with open_video(path) as (container, stream):
            try:
                container.seek(target - int(PREROLL / time_base), stream=stream)
            except (av.FFmpegError, ValueError, OSError):
                continue  # reads will fail in the same way, and decode from the start
            found = ((packet.pts, packet.size) for packet in packets(container, stream))
            after = ((pts, size) for pts, size in found if pts is not None and pts >= target)
            if any(sizes.get(pts, size) != size for pts, size in islice(after, 16)):
                return False
    return True


def _index_from_packets(path: Path, times: list[int], time_base: Fraction) -> FrameIndex | None:
    """Build the index from the packets' times; None if the decoded head of the film disagrees."""
    index = FrameIndex(np.array(times, dtype=np.int64), time_base)
    decoding = Decoding(path, None, None)
    frames = list(islice(((frame.pts, intact) for frame, intact in decoding.frames()), HEAD))
    numbers = [index.number(pts) for pts, _ in frames]
    if None in numbers or any(b <= a for a, b in pairwise(numbers)):  # type: ignore[operator]
        return None
    intact = [number for number, (_, is_intact) in zip(numbers, frames, strict=True) if is_intact]
    if intact and len(intact) < intact[-1] - intact[0] + 1 and not decoding.damaged:  # type: ignore[operator]
        return None
    first = next(iter(intact), None)
    if first is None:
        first = next((number for number, _ in Decoding(path, None, None).numbered(index)), None)
    if first is None:
        raise InputError(f"{path}: no frame of it can be decoded")
    return FrameIndex(index.pts[first : _decodable_end(path, index)], time_base)


def _decodable_end(path: Path, index: FrameIndex) -> int:
    """Return the number after the last frame that can be decoded.

    Tries the last frame alone, with no more than the frames that it needs, before the frames of the tail.
    """
    count, tail = len(index.pts), TAIL
    if _decodes(path, index, count - 1):
        return count
    while True:
        begin = max(0, count - tail)
        last = max((number for number, _ in frames_around(path, index, begin, None)), default=-1)
        if last >= begin or begin == 0:
            return last + 1
        tail *= 4


def _decodes(path: Path, index: FrameIndex, number: int) -> bool:
    """Whether a frame comes out intact, decoded without the frames that it does not need."""
    wanted = np.zeros(len(index.pts), np.bool_)
    wanted[number] = True
    frames = frames_around(path, index, number, None, UnwantedPackets(index.number, wanted))
    return any(found == number for found, _ in frames)


def _index_by_decoding(path: Path, time_base: Fraction, packets: int, losses: list[str]) -> FrameIndex:
    """Decode the whole film; seekable if seeks by the frames' times find the same pixels.

    Args:
        packets: with visible frames. If the decoder finds damage, `losses` gets a message.
    """
    decoding = Decoding(path, None, None)
    decoded = [(frame.pts, _checksum(frame)) for frame, _ in decoding.frames()]
    if not decoded:
        raise InputError(f"{path}: no frame of it can be decoded")
    if decoding.damaged:
        losses.append(f"{len(decoded)} frames came out of {packets} packets of video, some of them damaged")
    times = [pts for pts, _ in decoded if pts is not None]
    if len(times) == len(decoded) and all(a < b for a, b in pairwise(times)):
        index = FrameIndex(np.array(times, dtype=np.int64), time_base)
        if all(
            _seek_finds(path, index, n, decoded[n][1]) for n in {len(decoded) * k // 5 for k in range(1, 5)}
        ):
            return index
    return FrameIndex(np.arange(len(decoded), dtype=np.int64), time_base, seekable=False)


def _seek_finds(path: Path, index: FrameIndex, number: int, checksum: int) -> bool:
    found = next((frame for n, frame in frames_around(path, index, number, None) if n >= number), None)
    return found is not None and _checksum(found) == checksum


def _checksum(frame: VideoFrame) -> int:
    return zlib.crc32(bytes(frame.planes[0]))
