"""Add a movie to the actor database: its cast, their pictures and the film, all of it or nothing.

Everything is decided first. Then the pictures are copied, then the tables are replaced together; if anything
fails, the copies are removed again. A copy that a killed process leaves behind has no row and is taken by
the next run.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from facerec.actors.aspect_ratios import COLUMNS as ASPECT_COLUMNS
from facerec.actors.aspect_ratios import read_aspect_rows
from facerec.actors.cast_rows import Edits, columns_of_new_table, edit_cast, new_table
from facerec.actors.database import IMAGE_COLUMNS, MAX_LISTED, ActorDatabase
from facerec.actors.film_links import FilmLink, film_named
from facerec.actors.people import Member
from facerec.actors.picture_copies import copy_name, upright_copy
from facerec.actors.picture_names import Picture
from facerec.errors import ContractError, InputError
from facerec.folder.names import is_film_of, same_name
from facerec.support.atomic import remove_stale_temporaries, sha256_of, write_bytes, write_changed
from facerec.support.text import counted


@dataclass(frozen=True)
class Copy:
    """A picture that is to be copied to `actor_images/`."""

    source: Path
    name: str


@dataclass(frozen=True)
class Addition:
    """The planned changes of the database.

    Attributes:
        tables: old and new text by path; the old one is None for a new file.
        copies: pictures that are not there yet.
        doubts: sentences about pictures that are left out.
        notes: sentences about what stays as it is.
        counts: numbers for the summary: people, new people, pictures, new pictures.
    """

    database: ActorDatabase
    tables: Mapping[Path, tuple[str | None, str]]
    copies: tuple[Copy, ...]
    film: FilmLink | None
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def changed(self) -> dict[Path, str]:
        """New text of the tables that change."""
        return {path: new for path, (old, new) in self.tables.items() if old != new}

    def difference(self) -> Iterator[str]:
        """Yield the lines that show what changes."""
        for path, (old, new) in self.tables.items():
            before, after = (old or "").splitlines(), new.splitlines()
            name = str(path)
            yield from difflib.unified_diff(
                before, after, name if old is not None else "/dev/null", name, n=1, lineterm=""
            )
        for copy in self.copies:
            yield f"copy {copy.source} -> {self.database.pictures / copy.name}"
        if self.film is not None and not self.film.is_done:
            yield self.film.describe()

    def write(self, advance: Callable[[int], None] = lambda n: None) -> bool:
        """Change the files; returns whether anything changed.

        Args:
            advance: called with the number of pictures just copied.

        Raises:
            InputError: a picture cannot be read.
            OSError: a file cannot be written; then nothing has changed.
        """
        database = self.database
        changes_film = self.film is not None and not self.film.is_done
        made: list[Path] = []
        with ExitStack() as stack:
            if self.copies:
                database.pictures.mkdir(exist_ok=True)
            stack.callback(_remove, made)
            for copy in self.copies:
                target = database.pictures / copy.name
                if not target.exists():
                    made.append(target)
                    write_bytes(target, upright_copy(copy.source, copy.source.read_bytes()))
                advance(1)
            with film_named(self.film):
                write_changed({path: text.encode() for path, text in self.changed.items()})
            stack.pop_all()  # keep the copies
        remove_stale_temporaries(database.folder)
        return bool(made or self.changed or changes_film)


@contextmanager
def folder_for(database: ActorDatabase) -> Iterator[None]:
    """Make the folder of a new database for the block; remove it again if the block raises."""
    is_new = not database.folder.is_dir()
    if is_new:
        database.folder.mkdir(parents=True)
    try:
        yield
    except BaseException:
        if is_new:
            database.lock.unlink(missing_ok=True)
            for folder in (database.pictures, database.folder):
                with suppress(OSError):
                    folder.rmdir()
        raise


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def plan_addition(
    database: ActorDatabase,
    movie_id: int,
    title: str,
    year: str,
    members: Sequence[Member],
    pictures: Sequence[Picture],
    film: tuple[FilmLink, tuple[int, int]] | None,
    replaced: Collection[str] = (),
    advance: Callable[[int], None] = lambda n: None,
) -> Addition:
    """Plan the changes.

    Args:
        title, year: of the film; empty to take those of the movie's rows.
        film: how it gets its name, and its display size in pixels.
        replaced: see `cast_rows.edit_cast`.
        advance: called with the number of pictures just read.

    Raises:
        InputError: as `cast_rows.edit_cast`, or `aspect_ratios.csv` has another film of the movie.
        ContractError: a row of the tables cannot be used.
    """
    cast = edit_cast(database, members, movie_id, title, year, replaced)
    tables: dict[Path, tuple[str | None, str]] = {}
    _add_table(tables, database.actors, cast, columns_of_new_table(members))
    doubts: list[str] = []
    images, copies = _edit_images(database, movie_id, pictures, doubts, advance)
    if images.added or database.images.exists() or pictures:
        _add_table(tables, database.images, images, (*IMAGE_COLUMNS, "n_detections"))
    elif not database.images.exists():
        _add_table(tables, database.images, Edits(), (*IMAGE_COLUMNS, "n_detections"))
    sizes = Edits()
    if film is not None:
        sizes = _edit_sizes(database, movie_id, *film)
    if film is not None or not database.aspect_ratios.exists():
        _add_table(tables, database.aspect_ratios, sizes, ASPECT_COLUMNS)
    rows = database.read_images() if database.images.exists() else ()
    pictured = {row["actor_id"] for _, row in rows} | {cells["actor_id"] for cells in images.added}
    faceless = [member.entry.name for member in members if member.actor_id not in pictured]
    if faceless:
        few = ", ".join(faceless[:MAX_LISTED]) + (", …" if faceless[MAX_LISTED:] else "")
        people = f"{len(faceless)} of {counted(len(members), 'person has', 'people have')}"
        cast.notes.append(f"{people} no picture, so no name: {few}")
    counts = {
        "people": len(members),
        "new people": len(cast.added),
        "changed rows": len(cast.changes),
        "pictures": len(pictures),
        "new pictures": len(images.added),
    }
    link = film[0] if film else None
    notes = (*cast.notes, *sizes.notes, *(link.notes if link else ()))
    return Addition(database, tables, tuple(copies), link, tuple(doubts), notes, counts)


def _add_table(
    tables: dict[Path, tuple[str | None, str]], path: Path, edits: Edits, columns: Sequence[str]
) -> None:
    """Add the old and the new text of a table."""
    old = path.read_bytes().decode() if path.exists() else None
    tables[path] = old, edits.apply(old if old is not None else new_table(columns))


def _edit_images(
    database: ActorDatabase,
    movie_id: int,
    pictures: Sequence[Picture],
    doubts: list[str],
    advance: Callable[[int], None],
) -> tuple[Edits, list[Copy]]:
    """Find the new rows of `actor_images.csv` and the pictures to copy."""
    edits = Edits()
    rows = [row for _, row in database.read_images()] if database.images.exists() else []
    listed = {(row["actor_id"], row["filename"]): number for number, row in enumerate(rows)}
    wanted = {picture.actor_id for picture in pictures}
    there = {
        (row["actor_id"], sha256_of(path))
        for row in rows
        if row["actor_id"] in wanted and (path := database.picture(row["filename"])).is_file()
    }
    copies: dict[str, Copy] = {}
    has_years = bool(rows) and "year" in rows[0]
    for picture, content in _distinct(pictures, doubts, advance):
        name = copy_name(picture.actor_id, content, picture.path)
        number = listed.get((picture.actor_id, name))
        is_there = database.picture(name).is_file()
        if number is None or not is_there:
            try:
                copied = upright_copy(picture.path, content)
            except InputError as error:
                doubts.append(f"{error}; it is left out")
                continue
            if number is None and (picture.actor_id, sha256(copied).hexdigest()) in there:
                continue  # under a name that somebody else gave it
            if not is_there:
                copies[name] = Copy(picture.path, name)
        if number is None:
            cells = {"actor_id": picture.actor_id, "movie_id": str(movie_id), "filename": name}
            edits.added.append(cells | ({"year": picture.year} if picture.year else {}))
        elif has_years and picture.year and not rows[number]["year"].strip():
            edits.changes[number] = {"year": picture.year}
    if not has_years and any("year" in cells for cells in edits.added):
        edits.columns.append("year")
    return edits, list(copies.values())


def _distinct(
    pictures: Sequence[Picture], doubts: list[str], advance: Callable[[int], None]
) -> Iterator[tuple[Picture, bytes]]:
    """Yield each picture once, with its bytes; the same picture of two people is in doubt."""
    by_content: dict[str, list[Picture]] = {}
    for picture in sorted(pictures, key=lambda one: (one.actor_id, one.path)):
        by_content.setdefault(sha256_of(picture.path), []).append(picture)
    for same in by_content.values():
        if len({picture.actor_id for picture in same}) > 1:
            which = " and ".join(f"{picture.path} ({picture.actor_id})" for picture in same)
            doubts.append(f"{which} are one picture under several people; it is left out")
        else:
            yield same[0], same[0].path.read_bytes()
        advance(len(same))


def _edit_sizes(database: ActorDatabase, movie_id: int, link: FilmLink, size: tuple[int, int]) -> Edits:
    """Find the new row of `aspect_ratios.csv`."""
    edits = Edits()
    rows = list(read_aspect_rows(database.aspect_ratios)) if database.aspect_ratios.exists() else []
    name = link.path.name
    for row in rows:
        if row.name == name:
            if row.size != size:
                edits.notes.append(
                    f"{database.aspect_ratios.name}: {name} is {row.size[0]} x {row.size[1]} and stays; the "
                    f"film says {size[0]} x {size[1]}"
                )
            return edits
        if same_name(row.name, name):
            raise ContractError(
                database.aspect_ratios,
                f"{row.name!r} is written with other Unicode characters than {name!r}; correct one of them",
                row.line,
            )
    if others := [row for row in rows if is_film_of(movie_id, row.name)]:
        raise InputError(
            f"{database.aspect_ratios}:{others[0].line}: {others[0].name!r} is a film of movie {movie_id} "
            f"already; choose another --movie, or remove the row if {name!r} replaces it"
        )
    edits.added.append(dict(zip(ASPECT_COLUMNS, (name, str(size[0]), str(size[1])), strict=True)))
    return edits
