"""The sequences of a shot in which actions are recognised, as movienet-tools chooses them."""

from __future__ import annotations

from collections.abc import Iterator

LENGTH = 64  # frames of a sequence at most
SAMPLES, STRIDE = 32, 2  # frames that the network takes of a sequence


def sequences(count: int) -> Iterator[tuple[int, int]]:
    """Yield the sequences of a shot of `count` frames: first frame, and the one after the last.

    A shot of more than `LENGTH` frames has the smallest number of sequences that cover it, evenly
    overlapping; the last one ends before the shot's last frame.
    """
    if count <= LENGTH:
        yield 0, count
        return
    number = -(-count // LENGTH)
    overlap = (LENGTH * number - count) // (number - 1)
    for k in range(number):
        end = min(k * (LENGTH - overlap) + LENGTH, count - 1)
        yield end - LENGTH, end


def centre(beg: int, end: int) -> int:
    """Return the middle frame of a sequence, which the boxes of its persons belong to."""
    return beg + (end - beg) // 2


def samples(beg: int, end: int) -> tuple[int, ...]:
    """Return the 32 frames of a sequence that the network takes: every second one around the centre.

    In a shorter sequence, the first and the last frame that can be taken are repeated.
    """
    middle = centre(beg, end)
    first = beg + (middle - beg) % STRIDE if middle - beg >= STRIDE else beg
    last = end - 1 - (end - 1 - middle) % STRIDE
    before = [max(middle - STRIDE * k, first) for k in range(SAMPLES // 2, 0, -1)]
    after = [min(middle + STRIDE * k, last) for k in range(SAMPLES // 2)]
    return (*before, *after)


def needed_frames(count: int) -> Iterator[int]:
    """Yield the frames of a shot that its sequences take, increasing."""
    waiting: set[int] = set()
    for beg, end in sequences(count):
        yield from sorted(frame for frame in waiting if frame < beg)
        waiting = {frame for frame in waiting if frame >= beg}.union(samples(beg, end))
    yield from sorted(waiting)
