"""The numbered pictures of a folder, in the order of their numbers."""

from __future__ import annotations

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from facerec.errors import InputError

# FFmpeg's decoder of each kind of picture, by the file's suffix
DECODERS: Mapping[str, str] = {
    ".dpx": "dpx",
    ".exr": "exr",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "png",
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".j2k": "jpeg2000",
    ".j2c": "jpeg2000",
    ".jp2": "jpeg2000",
    ".jpc": "jpeg2000",
    ".bmp": "bmp",
}
_NUMBER = re.compile(r"(.*?)([0-9]+)([^0-9]*)", re.DOTALL)
_SHOWN = 5  # gaps or names in a message


@dataclass(frozen=True)
class Gap:
    """Numbers `[first, last]` that no picture has."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"


@dataclass(frozen=True)
class NumberedPictures:
    """Pictures of a folder.

    Attributes:
        numbers: of the pictures in their names, increasing.
        names: the file names, in the same order.
        ignored: names of other files in the folder.
    """

    folder: Path
    numbers: tuple[int, ...]
    names: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def frame_count(self) -> int:
        """Number of frames, those in gaps included."""
        return self.numbers[-1] - self.numbers[0] + 1

    @property
    def gaps(self) -> list[Gap]:
        """Numbers that are missing between the first and the last."""
        pairs = zip(self.numbers, self.numbers[1:], strict=False)
        return [Gap(one + 1, other - 1) for one, other in pairs if other - one > 1]

    def frame_files(self) -> list[Path]:
        """Return the file of each frame; in a gap, that of the frame before."""
        found: list[Path] = []
        for number, name in zip(self.numbers, self.names, strict=True):
            found += [found[-1]] * (number - self.numbers[0] - len(found)) if found else []
            found.append(self.folder / name)
        return found


def is_picture(name: str) -> bool:
    """Return whether a file name is that of a picture. Hidden files (`._0001.tif` of Macs) do not count."""
    return not name.startswith(".") and Path(name).suffix.lower() in DECODERS


def list_pictures(folder: Path, only: str = "*") -> NumberedPictures:
    """List the pictures of a folder by the last number in their names, with or without leading zeros.

    Args:
        only: shell pattern of the file names to take, as in `left_*.dpx`.

    Raises:
        InputError: there are none, a picture has no number, two have the same, or there are two sequences.
    """
    with os.scandir(folder) as entries:
        files = sorted(entry.name for entry in entries if entry.is_file())
    names = [name for name in files if is_picture(name) and fnmatch.fnmatchcase(name, only)]
    if not names:
        kinds = " ".join(suffix[1:] for suffix in DECODERS)
        raise InputError(f"{folder}: no picture here is named {only}; known are {kinds}")
    parsed = [(name, _NUMBER.fullmatch(Path(name).stem)) for name in names]
    without = [name for name, match in parsed if match is None]
    if without:
        raise InputError(
            f"{folder}: no number in the name of {_some(without)}; choose the frames with --only 'PATTERN'"
        )
    sequences = Counter((match[1], match[3] + Path(name).suffix.lower()) for name, match in parsed if match)
    if len(sequences) > 1:
        found = [f"{before}#{after} ({count})" for (before, after), count in sequences.most_common(_SHOWN)]
        raise InputError(
            f"{folder}: {len(sequences)} sequences of pictures: {', '.join(found)}; "
            "choose one with --only 'PATTERN'"
        )
    numbered = sorted((int(match[2]), name) for name, match in parsed if match)
    for number, same in groupby(numbered, lambda one: one[0]):
        doubled = [name for _, name in same]
        if len(doubled) > 1:
            raise InputError(f"{folder}: {_some(doubled)} have the same number {number}; keep one of them")
    numbers, ordered = zip(*numbered, strict=True)
    others = set(files) - set(names)
    return NumberedPictures(folder, numbers, ordered, tuple(sorted(others)))


def describe_gaps(gaps: Sequence[Gap]) -> str:
    """Return how many frames are missing and which, in a few words."""
    missing = sum(gap.last - gap.first + 1 for gap in gaps)
    more = f" and {len(gaps) - _SHOWN} more gaps" if len(gaps) > _SHOWN else ""
    frames = "1 frame is" if missing == 1 else f"{missing} frames are"
    return f"{frames} missing: {', '.join(map(str, gaps[:_SHOWN]))}{more}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more


def files_in_order(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that are not hidden, ordered by their names: 2 before 10."""
    with os.scandir(folder) as entries:
        names = [one.name for one in entries if one.is_file() and not one.name.startswith(".")]
    yield from (folder / name for name in sorted(names, key=_natural))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split("([0-9]+)", name)]
