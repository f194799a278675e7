"""Divide the features of a movie into items and units of work, by its cuts alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST_UNIT = 1500  # frames of a unit of work, but for the last one
FILM = "film"  # the film's item in the index
SHOT = "shot_"  # before the number of a shot in its item
SOUND = "sound"  # the unit of all sound


def shot_name(number: int) -> str:
    """Return the item of a shot in the index."""
    return f"{SHOT}{number:05d}"


@dataclass(frozen=True)
class Span:
    """A unit of work: consecutive shots, and their frames `[beg, end)`.

    Attributes:
        key: `unit_00000`, ….
        shots: their numbers.
    """

    key: str
    shots: range
    beg: int
    end: int


def divide(shots: Sequence[tuple[int, int]]) -> list[Span]:
    """Divide a film into units of work of at least `SHORTEST_UNIT` frames.

    Args:
        shots: first frame and end of each shot. The end of the last one does not matter for the division.
    """
    spans: list[Span] = []
    first = 0
    for number, (_, end) in enumerate(shots):
        beg = shots[first][0]
        if end - beg >= SHORTEST_UNIT or number == len(shots) - 1:
            spans.append(Span(f"unit_{len(spans):05d}", range(first, number + 1), beg, end))
            first = number + 1
    return spans
