"""Find the person that a picture shows by its folder, its name or the cast list; never guess.

`pictures/Grace Hopper/any.jpg`, `pictures/Grace Hopper 2.jpg` and `pictures/nm0592225.jpg` belong to one
person each. A number after the name that can be a year is the picture's year: `Grace Hopper 1984.jpg`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec.actors.people import Member, name_key
from facerec.errors import InputError
from facerec.folder.names import existing_path
from facerec.support.text import counted

_NO_PICTURES = frozenset(
    (".csv", ".tsv", ".txt", ".md", ".json", ".xml", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ini", ".db",
     ".url", ".html", ".htm", ".xmp", ".zip", ".gz", ".mp4", ".mkv", ".mov", ".avi")
)  # fmt: skip
_FIRST_YEAR, _LAST_YEAR = 1860, 2100
_MAX_LISTED = 5


@dataclass(frozen=True)
class Picture:
    """A file that shows a person.

    Attributes:
        year: in which it was taken, `yyyy`; empty if the names do not say.
    """

    path: Path
    actor_id: str
    year: str


@dataclass(frozen=True)
class Matches:
    """The pictures of a cast.

    Attributes:
        doubts: sentences about files that were left out.
        notes: a sentence about files that are named after nobody in the cast.
    """

    pictures: tuple[Picture, ...]
    doubts: tuple[str, ...]
    notes: tuple[str, ...]


def match_pictures(folders: Sequence[Path], members: Sequence[Member], beside: Path | None) -> Matches:
    """Find the pictures of each member.

    Args:
        folders: searched with all folders in them.
        beside: folder of the cast list, where the pictures that it names may lie as well.

    Raises:
        InputError: one of `folders` does not exist.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of pictures")
    names = _Names(members)
    owners: dict[Path, set[tuple[str, str]]] = {}
    doubts: list[str] = []
    unmatched: list[Path] = []
    for folder in folders:
        for path, parents in picture_files(folder):
            found, year, doubt = names.owner(path, parents)
            if doubt:
                doubts.append(f"{path}: {doubt}")
            elif found:
                owners.setdefault(path, set()).add((found, year))
            else:
                unmatched.append(path)
    for member in members:
        for path, doubt in _listed(member, folders, beside):
            if doubt:
                doubts.append(doubt)
            else:
                years = {year for _, year in owners.get(path, ())}
                owners.setdefault(path, set()).add((member.actor_id, next(iter(years), year_in([path.stem]))))
    pictures = []
    for path, of in owners.items():
        ids = sorted({actor_id for actor_id, _ in of})
        if len(ids) > 1:
            doubts.append(f"{path}: belongs to {' and '.join(ids)} by folder, name or list; it is left out")
        else:
            pictures.append(Picture(path, *min(of)))
    listed = set(owners)
    notes = _unmatched([path for path in unmatched if path not in listed], names)
    return Matches(tuple(pictures), tuple(doubts), notes)


def picture_files(
    folder: Path, parents: tuple[str, ...] = (), above: frozenset[Path] = frozenset()
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield files that may be pictures, with the names of the folders that they are in below `folder`.

    Args:
        above: folders that `folder` is in; links back to them are ignored.
    """
    above |= {folder.resolve()}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "Thumbs.db":
            continue
        if path.is_dir():
            if path.resolve() not in above:
                yield from picture_files(path, (*parents, path.name), above)
        elif path.is_file() and path.suffix.lower() not in _NO_PICTURES:
            yield path, parents


class _Names:
    """The names and ids of a cast, to find the person of a file or folder."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._by_key: dict[str, set[str]] = {}
        self.spelled: dict[str, str] = {}
        self._name_of: dict[str, str] = {}
        self._ids = {member.actor_id.casefold(): member.actor_id for member in members}
        for member in members:
            spellings = {member.entry.name, *(member.known.names if member.known else ())}
            for name in (*spellings, member.actor_id):
                key = name_key(name)
                for form in (key, key.replace(" ", "")):
                    self._by_key.setdefault(form, set()).add(member.actor_id)
                self.spelled.setdefault(key, name)
            self._name_of[member.actor_id] = member.entry.name

    def owner(self, path: Path, parents: Sequence[str]) -> tuple[str, str, str]:
        """Return the actor id of a file, empty if its name fits nobody; its year; and why it is in doubt."""
        by_folder = [found for name in parents if (found := self.find(name))]
        by_name = self.find(path.stem)
        year = year_in([path.stem, *reversed(parents)])
        certain = [found for found in (*by_folder, by_name) if len(found) == 1]
        if any(found != certain[0] for found in certain[1:]):
            who = " and ".join(sorted({self._name_of[one] for found in certain for one in found}))
            return "", year, f"its folder and its name are of different people ({who}); it is left out"
        if certain:
            return next(iter(certain[0])), year, ""
        if unclear := next((found for found in (*by_folder, by_name) if found), None):
            ids = " or ".join(sorted(unclear))
            return "", year, f"may be of {ids}; put it into a folder named by the id; it is left out"
        return "", year, ""

    def find(self, name: str) -> frozenset[str]:
        """Return the people that a picture or folder of this name may show; an id decides."""
        if (actor_id := self._ids.get(name.casefold())) is not None:
            return frozenset((actor_id,))
        found: set[str] = set()
        for form in _forms(name):
            found |= self._by_key.get(form, set())
        return frozenset(found)


def _forms(name: str) -> Iterator[str]:
    """Yield what a file name may say: all of it and without numbers at its end, also surname first."""
    orders = [name]
    if name.count(",") == 1:
        family, given = name.split(",")
        number = re.search(r"[\s_(-]*\d+\)?$", given)
        orders.append(f"{given[: number.start()] if number else given} {family}")
    for order in orders:
        words = name_key(order).split()
        while words:
            yield " ".join(words)
            yield "".join(words)
            if not words[-1].isdigit():
                break
            words.pop()
        if words and (shorter := words[-1].rstrip("0123456789")) and shorter != words[-1]:  # Hopper2
            yield " ".join((*words[:-1], shorter))
            yield "".join((*words[:-1], shorter))


def year_in(names: Sequence[str]) -> str:
    """Return the only year in the first of `names` that has one; empty if there is none."""
    for name in names:
        numbers = re.findall(r"(?<!\d)\d{4}(?!\d)", name)
        years = {number for number in numbers if _FIRST_YEAR <= int(number) <= _LAST_YEAR}
        if years:
            return years.pop() if len(years) == 1 else ""
    return ""


def _listed(member: Member, folders: Sequence[Path], beside: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield the files that the cast list names for a member, or a sentence about each that is missing."""
    places = [*folders, *([beside] if beside else [])]
    entry = member.entry
    for name in (*entry.pictures, *entry.portraits):
        relative = name.replace("\\", "/")
        candidates = [existing_path(place / relative) for place in places]
        candidates += [existing_path(place / Path(relative).name) for place in places]
        candidates += [existing_path(place / relative.replace(" ", "_")) for place in places]
        found = next((path for path in candidates if path.exists()), None)
        if found is None:
            if name in entry.pictures:
                where = ", ".join(map(str, places)) or "no folder of pictures; give --pictures"
                yield Path(name), f"{entry.where}: picture {name!r} of {entry.name} is not in {where}"
        elif found.is_dir():
            yield from ((path, "") for path, _ in picture_files(found))
        else:
            yield found, ""


def _unmatched(paths: Sequence[Path], names: _Names) -> tuple[str, ...]:
    """Return a sentence about files of people who are not in the cast, with names that are nearly one."""
    if not paths:
        return ()
    shown = []
    for path in paths[:_MAX_LISTED]:
        words = [word for word in name_key(path.stem).split() if not word.isdigit()]
        near = difflib.get_close_matches(" ".join(words), names.spelled, 1, 0.8)
        shown.append(f"{path}{f' (did you mean {names.spelled[near[0]]!r}?)' if near else ''}")
    more = f" and {len(paths) - _MAX_LISTED} more" if len(paths) > _MAX_LISTED else ""
    files = counted(len(paths), "file is", "files are")
    return (f"{files} not named after anybody in the cast: {', '.join(shown)}{more}",)
