"""Lists of videos, folders of frames, pictures and sound files: which items, from where, and to which output.

Two kinds of lists are read, recognised by their first line that is not blank:

- a table with the header `video_path,feature_path` (other columns are ignored; semicolons, tabs or bars may
  separate cells instead): the features of each row are written to exactly its `feature_path`;
- one path a line, without a header or with the header `video_path`: the features of `dir/name.mp4` are
  written to `<out>/dir/name_<window>.npy`.

An error in one line is a `Problem`; the other lines are items nevertheless.
"""

from __future__ import annotations

import codecs
import csv
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from facerec.errors import InputError
from facerec.feature_runs.media import is_media_file, without_suffix
from facerec.support.csv_tables import find_separator, is_separator_line
from facerec.support.text import counted

log = logging.getLogger(__name__)

MOST_CHARACTERS = 1 << 16  # of a line
_SNIFFED = 16  # bytes that decide whether a file is text
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # bytes that were decoded by surrogateescape
VIDEO, OUTPUT = "video_path", "feature_path"
FEATURE = "{feature}"  # in a feature_path: stands for the name of the feature


@dataclass(frozen=True)
class Item:
    """A line of a list.

    Attributes:
        name: in the index: the output's path for a row of a table, else the path in the list.
        source: the path as it is written in the list.
        path: where the video, folder of frames, picture or sound file should be.
        output: of a table: the output file, `{feature}` in it not yet replaced; otherwise the output file
            without its suffix and what comes before it (`_<window>`).
        exact: whether `output` is the file itself.
    """

    name: str
    source: str
    path: Path
    output: Path
    exact: bool


@dataclass(frozen=True)
class Problem:
    """A line of a list that cannot be used.

    Attributes:
        name: in the index: `<list>:<line>`.
        source: the path as it is written in the list.
        reason: the error, and how to correct it.
    """

    name: str
    source: str
    reason: str


class _BadLine(Exception):
    """Why a line is no item."""


@dataclass(frozen=True)
class Places:
    """The folders that the paths of a list count from.

    Attributes:
        out: folder of the outputs, as given on the command line.
        root: folder of the paths in the list; None for the list's own folder, or the working directory for
            those that are not there.
        suffix: appended to the paths that lack it, for lists of names without one (`.mp4`).
    """

    out: Path
    root: Path | None = None
    suffix: str = ""

    def find(self, written: str, list_folder: Path) -> Path:
        """Return where the video `written` should be."""
        if self.suffix and not written.endswith(self.suffix):
            written += self.suffix
        folders = [list_folder, Path()] if self.root is None else [self.root]
        found = [folder / written for folder in folders]
        return next((path for path in found if os.path.lexists(path)), found[0])

    def relative(self, written: str) -> str:
        """Return the path of a list's item inside the folder of the outputs.

        Raises:
            _BadLine: it leads out of that folder.
        """
        path = os.path.normpath(written)
        if path[0] == "/" and self.root is not None:
            inside = os.path.relpath(path, os.path.abspath(self.root))
            path = path if inside.startswith("..") else inside
        path = path.lstrip("/")
        if path.split("/", 1)[0] == ".." or path in ("", "."):
            raise _BadLine(
                f"the path leads out of its folder, so its features would be written outside {self.out}; "
                "give --root, or a table with feature_path"
            )
        return path

    def feature_path(self, written: str) -> Path:
        """Return the output file that a table names.

        An absolute path is taken as it is. A relative one counts from the working directory if it begins with
        `out` as given, else from `out`.

        Raises:
            _BadLine: a relative path leads out of `out`, or it is no name of a file.
        """
        if written.rsplit("/", 1)[-1] in ("", ".", ".."):
            raise _BadLine(f"feature_path {written} names a folder, not a file")
        path = Path(os.path.normpath(written))
        if path.is_absolute():
            return path
        out = Path(os.path.normpath(self.out))
        if path.is_relative_to(out):
            return path
        if path.parts[0] == "..":
            raise _BadLine(f"feature_path {written} leads out of {self.out}; give its absolute path")
        return out / path


def read_items(path: Path, places: Places) -> list[Item | Problem]:
    """Read a list; a video, picture or sound file, or a folder, is itself the only item.

    Lines that repeat an earlier one are reported and left out.

    Raises:
        InputError: there is no such file, it has no items, or it is a table without the right header.
    """
    if not os.path.lexists(path):
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir() or is_media_file(path) or _is_binary(path):
        places = Places(places.out, root=path.parent)
        return [Item(path.name, str(path), path, places.out / without_suffix(path.name), exact=False)]
    if not path.is_file():
        raise InputError(f"{path}: is not a file")
    lines = [*_lines(path)]
    if not lines:
        raise InputError(f"{path}: is empty; it should have the columns {VIDEO},{OUTPUT}, or one path a line")
    if len(lines) > 1 and is_separator_line(str(lines[0][1])):
        del lines[0]
    separator = find_separator(str(lines[0][1]), (VIDEO, OUTPUT))
    header = _header(path, lines[0][1], separator, places)
    found: list[Item | Problem] = []
    outputs: dict[Path, tuple[int, Item]] = {}
    real_folder = cache(os.path.realpath)  # links may lead to one folder
    for number, line in lines[1:] if header else lines:
        try:
            item = _item(path, line, header, separator, places)
            place = Path(real_folder(item.output.parent), item.output.name)
            before = outputs.setdefault(place, (number, item))
            if before[1] is item:
                found.append(item)
            elif before[1].path == item.path:
                log.warning("%s:%d: repeats line %d; skipped", path, number, before[0])
            else:
                what = f"feature_path {item.name}" if item.exact else f"output {item.output}*"
                raise _BadLine(
                    f"line {before[0]} has the same {what} for {before[1].source}; change one of them"
                )
        except _BadLine as bad:
            source = line if isinstance(line, str) else ""
            found.append(Problem(f"{path.name}:{number}", source, str(bad)))
    if not found:
        raise InputError(f"{path}: has a header, but no items below it")
    return found


def _is_binary(path: Path) -> bool:
    if not path.is_file():  # a pipe may never end
        return False
    with path.open("rb") as file:
        start = file.read(_SNIFFED)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    return b"\0" in start


def _lines(path: Path) -> Iterator[tuple[int, str | _BadLine]]:
    """Yield number and text of the lines that are not blank, without byte order mark and line end."""
    with path.open(encoding="utf-8", errors="surrogateescape") as file:  # of any line ends
        number = 0
        while line := file.readline(MOST_CHARACTERS + 1):
            number += 1
            if len(line) > MOST_CHARACTERS:
                while line and not line.endswith("\n"):
                    line = file.readline(MOST_CHARACTERS)
                yield number, _BadLine(f"the line has more than {MOST_CHARACTERS} characters")
                continue
            text = (line.removeprefix("\ufeff") if number == 1 else line).strip()
            if not text.isascii() and _NOT_UTF8.search(text):
                yield number, _BadLine("the line is not UTF-8 text")
            elif text:
                yield number, text


def _cells(line: str, separator: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=separator, strict=True, skipinitialspace=True))
        return [cell.strip() for cell in cells]
    except csv.Error as error:
        raise _BadLine(f"is not a CSV row ({error})") from None


def _header(path: Path, line: str | _BadLine, separator: str, places: Places) -> list[str] | None:
    """Return the columns of a table; None for a list of paths.

    Raises:
        InputError: the first line is a row of a table, not its header.
    """
    try:
        cells = _cells(line, separator) if isinstance(line, str) else []
    except _BadLine:
        return None
    if VIDEO in cells and all(cells.count(column) <= 1 for column in (VIDEO, OUTPUT)):
        return cells
    is_row = (
        path.suffix == ".csv" and len(cells) > 1 and not os.path.lexists(places.find(str(line), path.parent))
    )
    if is_row or OUTPUT in cells or VIDEO in cells:
        raise InputError(
            f"{path}: begins with {str(line)[:200]}; the first line of a table must name its columns, "
            f"{VIDEO},{OUTPUT} once each"
        )
    return None


def _item(path: Path, line: str | _BadLine, header: list[str] | None, separator: str, places: Places) -> Item:
    """Read a line.

    Raises:
        _BadLine: it is no item.
    """
    if isinstance(line, _BadLine):
        raise line
    if header is None:
        quoted = len(line) > 2 and line[0] == line[-1] == '"'
        row = {VIDEO: line[1:-1].replace('""', '"') if quoted else line}
    else:
        cells = _cells(line, separator)
        if len(cells) != len(header):
            raise _BadLine(f"the row has {counted(len(cells), 'cell')}, but the header has {len(header)}")
        row = dict(zip(header, cells, strict=True))
    for column in (VIDEO, OUTPUT):
        if column in row and not row[column]:
            raise _BadLine(f"{column} is empty")
        if "\0" in row.get(column, ""):
            raise _BadLine(f"{column} contains a NUL character")
    source = row[VIDEO]
    video = places.find(source, path.parent)
    if OUTPUT not in row:
        relative = places.relative(source)
        return Item(relative, source, video, places.out / without_suffix(relative), exact=False)
    output = places.feature_path(row[OUTPUT])
    if os.path.abspath(output) == os.path.abspath(video):
        raise _BadLine("feature_path is the video itself")
    return Item(os.path.normpath(row[OUTPUT]), source, video, output, exact=True)
