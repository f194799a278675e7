"""Brace expressions in the names of tar shards, as in bash: `shard-{000000..000004}.tar`, `{a,b}.tar`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import product

from facerec.errors import InputError

MOST_NAMES = 1_000_000

_BRACES = re.compile(r"(\{[^{}]*\})")
_RANGE = re.compile(r"\{(-?\d{1,18})\.\.(-?\d{1,18})(?:\.\.-?(\d{1,9}))?\}", re.ASCII)


class _Numbers(Sequence[str]):
    """The numbers of a range, padded with zeros if one of its ends is."""

    def __init__(self, first: str, last: str, step: int) -> None:
        beg, end = int(first), int(last)
        self._range = range(beg, end + 1, step) if beg <= end else range(beg, end - 1, -step)
        padded = any(re.match(r"-?0\d", text) for text in (first, last))
        self._width = max(len(first), len(last)) if padded else 0

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, k: int) -> str:  # type: ignore[override]
        return f"{self._range[k]:0{self._width}d}"


def expand(pattern: str) -> list[str]:
    """Return the names that a pattern stands for, in order; a name without braces stands for itself.

    Braces without a comma or a range are part of the name; braces inside braces are not expanded.

    Raises:
        InputError: it stands for more than a million names.
    """
    parts = [_alternatives(part) for part in _BRACES.split(pattern)]
    if math.prod(map(len, parts)) > MOST_NAMES:
        raise InputError(f"{pattern}: stands for more than {MOST_NAMES:,} names; give a smaller range")
    return ["".join(words) for words in product(*parts)]


def _alternatives(part: str) -> Sequence[str]:
    if match := _RANGE.fullmatch(part):
        return _Numbers(match[1], match[2], int(match[3] or 1) or 1)
    if _BRACES.fullmatch(part) and "," in part:
        return part[1:-1].split(",")
    return [part]
