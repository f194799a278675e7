"""The table of export formats. To add one: a module with `export`, and a line here.

`export(movies, suffix)` yields the contents of the file in parts, so that a feature film needs no memory for
all of it. A format that is not `joint` gets one movie at a time.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facerec.errors import InputError

if TYPE_CHECKING:
    from facerec.movies.movie import Movie


@dataclass(frozen=True)
class Format:
    """One export format.

    Attributes:
        name: as given to `--format`.
        suffixes: of its files, without the dot; the first is the default.
        contents: what is in a file, for the help.
        joint: several movies can be in one file.
        url: its files hold addresses, which begin with `--url`.
    """

    name: str
    suffixes: tuple[str, ...]
    contents: str
    joint: bool = False
    url: bool = False

    def file_name(self, movie_id: int, suffix: str | None = None) -> str:
        """Return the name of a movie's file: `7.mot.zip`, or `7.vtt` where the suffix names the format."""
        suffix = suffix or self.suffixes[0]
        parts = (suffix,) if self.is_named_by(suffix) else (self.name, suffix)
        return ".".join((str(movie_id), *parts))

    def is_named_by(self, suffix: str) -> bool:
        """Return whether a suffix says what the format is, as `vtt`."""
        return suffix in self.suffixes and self.name.endswith(suffix)

    def export(self, movies: Sequence[Movie], suffix: str, url: str | None = None) -> Iterator[bytes]:
        """Yield the contents of a file about `movies`, of which there is one unless the format is `joint`.

        Args:
            url: beginning of addresses in the file, for formats that have them.
        """
        module = importlib.import_module(f"facerec.exporting.{self.name.replace('-', '_')}")
        options = {"url": url} if self.url and url is not None else {}
        parts: Iterator[bytes] = module.export(movies, suffix, **options)
        return parts


_ALL = (
    Format("screen-time", ("csv", "parquet"), "one row per person: seconds, shots, face height", joint=True),
    Format("presence", ("csv",), "one row per interval in which a person is on screen", joint=True),
    Format("co-presence", ("csv", "graphml"), "who is on screen with whom: pairs, or a graph", joint=True),
    Format("webvtt", ("vtt",), "subtitles: the names of who is on screen"),
    Format("ass", ("ass",), "subtitles: a box around each face, with its name"),
    Format("cvat", ("xml",), "boxes and identities, to be corrected in CVAT and read back"),
    Format("mot", ("zip",), "tracks for research on tracking (MOT Challenge)"),
    Format(
        "iiif", ("json",), "manifest for archives' viewers, with annotations (IIIF Presentation 3)", url=True
    ),
    Format("coco", ("json",), "boxes and keypoints of the saved faces, for training", joint=True),
    Format("eaf", ("eaf",), "annotations for ELAN: one tier per person, milliseconds"),
)
FORMATS = {one.name: one for one in _ALL}


def find_format(name: str) -> tuple[Format, str | None]:
    """Return a format and the suffix that `name` asks for, as in `screen-time.parquet`; `vtt` is `webvtt`.

    Raises:
        InputError: there is no such format, or it has no such suffix.
    """
    base, _, suffix = name.partition(".")
    found = FORMATS.get(base) or next((one for one in _ALL if one.is_named_by(base)), None)
    if found is None:
        raise InputError(f"--format {name}: no such format; there are {', '.join(FORMATS)}")
    if suffix and suffix not in found.suffixes:
        raise InputError(f"--format {name}: {found.name} is written as {' or '.join(found.suffixes)}")
    return found, suffix or None
