"""Read a tar shard of clips and the JSON list beside it: the member of each clip, or why it has none.

`shard-N.json` is a list of `{"filename", "id", "segment": [start, end]}`. A row stands for the member with
that name, else for the one with that name in another folder, else for the one with that name before its
suffix, as in the tools that write such shards; else for one that differs only in the form of Unicode
(archives made on a Mac may have decomposed names). Members with the name of a clip and another suffix are
ignored (`.txt` and `.json` of WebDataset).

Nothing is unpacked under a member's own name: a clip is copied to a temporary file, one at a time.
"""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from facerec.errors import InputError
from facerec.feature_runs.braces import expand
from facerec.feature_runs.media import is_media_file
from facerec.support.atomic import remove_stale_temporaries, temporary_dir
from facerec.support.jsonl import RuleViolation, read_json

log = logging.getLogger(__name__)

_SCRATCH = "facerec-clip"
_END = b"\0" * tarfile.BLOCKSIZE  # marks the end of a tar file
_PIECE = 1 << 20  # bytes copied at once
_LONGEST_NAME = 4096  # bytes of a filename; an entry of a ZIP file allows 65535


@dataclass(frozen=True)
class TarClip:
    """A row of the JSON list and its member.

    Attributes:
        filename, id, segment: of the row.
        offset, size: of the member's data in the tar file, in bytes.
        reason: why the clip cannot be read; None if it can.
    """

    filename: str
    id: Any = None
    segment: Any = None
    offset: int = 0
    size: int = 0
    reason: str | None = None


def find_shards(patterns: Sequence[str]) -> list[Path]:
    """Return the tar files that brace expressions stand for; those that are not there are reported.

    Raises:
        InputError: none of them exists, or two have the same name.
    """
    names = [
        name for pattern in patterns for name in ([pattern] if Path(pattern).exists() else expand(pattern))
    ]
    paths = [Path(name) for name in dict.fromkeys(names)]
    absent = {path for path in paths if not path.exists()}
    if len(absent) == len(paths):
        raise InputError(f"{' '.join(patterns)}: none of the {len(paths)} tar files is there")
    for path in sorted(absent):
        log.warning("%s: no such file; skipped", path)
    found: dict[str, Path] = {}
    for path in paths:
        if path not in absent and found.setdefault(path.stem, path) != path:
            raise InputError(
                f"{found[path.stem]} and {path} have the same name; give them to two --out folders"
            )
    return [*found.values()]


def read_shard(path: Path) -> list[TarClip]:
    """Read the JSON list and the headers of a tar shard.

    Returns:
        The clips in the order of the list, then those that are in the tar only, as failed ones. The filenames
        are different.

    Raises:
        InputError: there is no tar file.
        ContractError: the list is missing or unreadable.
    """
    rows = read_json(path.with_suffix(".json"), _parse_list)
    members, ending = _read_members(path)
    by_name: dict[str, list[tarfile.TarInfo]] = defaultdict(list)
    for member in members:
        for key in dict.fromkeys(_keys(_plain(member.name))):
            by_name[key].append(member)
    clips: dict[str, TarClip] = {}
    used: set[str] = set()
    for number, row in enumerate(rows):
        clip, used_name = _clip(row, number, by_name, path, ending)
        if clips.get(clip.filename) == clip:
            log.warning("%s.json: row %d repeats %s; skipped", path.stem, number, clip.filename)
        elif clip.filename in clips:
            clip = TarClip(f"{clip.filename} (row {number})", reason="this filename is in an earlier row too")
        clips[clip.filename] = clip
        if used_name is not None:
            used.add(used_name)
    stems = {PurePosixPath(name).stem for name in (*clips, *used)}
    for member in members:
        name = _printable(_plain(member.name))
        if member.name in used or member.isdir() or PurePosixPath(name).stem in stems:
            continue
        reason = _bad_member(member, path) or f"is in the tar, but not in {path.stem}.json; add a row for it"
        clips.setdefault(name, TarClip(name, reason=reason))
    return [*clips.values()]


def _parse_list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise RuleViolation('a JSON list of {"filename", "id", "segment"} is expected')
    return value


def _clip(
    row: Any, number: int, by_name: dict[str, list[tarfile.TarInfo]], path: Path, ending: str
) -> tuple[TarClip, str | None]:
    """Find the member of a row; returns the clip and the member's name."""
    filename = row.get("filename") if isinstance(row, dict) else None
    if not isinstance(filename, str) or not filename:
        return TarClip(f"row {number}", reason=f"{path.stem}.json has no filename in its row {number}"), None
    name, identity, segment = _plain(filename), row.get("id"), row.get("segment")
    found = next((by_name[key] for key in _keys(name) if key in by_name), [])
    if len(found) > 1:  # a clip and its texts
        found = [member for member in found if is_media_file(Path(member.name))] or found
    reason = None
    if "\0" in filename or len(filename.encode("utf-8", "replace")) > _LONGEST_NAME:
        reason = f"its filename has a NUL character or more than {_LONGEST_NAME} bytes"
    elif _leads_out(filename):
        reason = "its filename leads out of the tar"
    elif not (segment is None or _is_segment(segment)):
        reason = f"its segment in {path.stem}.json is not [start, end] in seconds, start first"
    elif not found:
        reason = f"is in {path.stem}.json, but not in the tar{ending}"
    elif len(found) > 1:
        names = ", ".join(sorted({_printable(member.name) for member in found})[:3])
        reason = f"the tar has {len(found)} members for it ({names})"
    else:
        reason = _bad_member(found[0], path)
    if reason is not None or not found:
        used = found[0].name if found else None
        return TarClip(_printable(filename), identity, segment, reason=reason), used
    (member,) = found
    return TarClip(_printable(filename), identity, segment, member.offset_data, member.size), member.name


def _keys(name: str) -> list[str]:
    """Return keys by which a member is found, the best match first."""
    composed = unicodedata.normalize("NFC", name)
    return [
        f"{form}{kind}"
        for form, pure in (("", PurePosixPath(name)), ("NFC", PurePosixPath(composed)))
        for kind in (f"={pure}", f"/{pure.name}", f".{pure.stem}")
    ]


def _is_segment(value: Any) -> bool:
    is_pair = isinstance(value, list) and len(value) == 2 and all(type(end) in (int, float) for end in value)
    return is_pair and 0 <= value[0] <= value[1]


def _bad_member(member: tarfile.TarInfo, path: Path) -> str | None:
    """Return why a member is not read; None if it is."""
    if _leads_out(member.name):
        return "its name leads out of the tar"
    if member.issym() or member.islnk():
        return "is a link, not a file"
    if not member.isreg():
        return "is not a file"
    if member.issparse():
        return "is a sparse file; pack it without --sparse"
    if member.offset_data + member.size > path.stat().st_size:
        return "is cut off: the tar is truncated; copy it again"
    return None


def _leads_out(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


def _plain(name: str) -> str:
    return os.path.normpath(name)


def _printable(name: str) -> str:
    """Replace the bytes of a name that are not UTF-8."""
    return name.encode("utf-8", "replace").decode()


def _read_members(path: Path) -> tuple[list[tarfile.TarInfo], str]:
    """Read the headers of a tar file.

    Returns:
        Its members, and the end of the message about a missing one: whether the file is damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: {'is not a file' if path.exists() else 'no such file'}")
    members: list[tarfile.TarInfo] = []
    damage = ", which is truncated or damaged; copy it again"
    try:
        with tarfile.open(path, "r:") as archive, path.open("rb") as file:
            try:
                while (member := archive.next()) is not None:
                    members.append(member)
                file.seek(archive.offset)
                block = file.read(tarfile.BLOCKSIZE)
            except (tarfile.TarError, OSError, ValueError):
                return members, damage
    except tarfile.ReadError:
        raise InputError(f"{path}: is not a tar file; a compressed one must be unpacked first") from None
    return members, "" if block in (_END, b"") else damage


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a temporary folder for clips; remove those of processes that were killed."""
    parent = Path(tempfile.gettempdir())
    remove_stale_temporaries(parent)
    with temporary_dir(parent, _SCRATCH) as folder:
        yield folder


@contextmanager
def extracted(path: Path, clip: TarClip, scratch: Path) -> Iterator[Path]:
    """Copy the clip's member to a temporary file in `scratch` for the block.

    Raises:
        Its members, and the end of the message about a missing one: empty, or that the file is damaged.
    """
    free = shutil.disk_usage(scratch).free
    if clip.size > free:
        raise InputError(
            f"{clip.filename}: has {clip.size} bytes, but {scratch.parent} has only {free} free; set "
            "TMPDIR to another folder"
        )
    file = scratch / f"clip{PurePosixPath(clip.filename).suffix[:10]}"
    try:
        with path.open("rb") as tar, file.open("wb") as copy:
            tar.seek(clip.offset)
            left = clip.size
            while left and (piece := tar.read(min(left, _PIECE))):
                copy.write(piece)
                left -= len(piece)
        if left:
            raise InputError(f"{clip.filename}: is cut off: {path} is truncated; copy it again")
        yield file
    finally:
        file.unlink(missing_ok=True)
