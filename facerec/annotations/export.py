"""Read the labeling backend's export of annotations."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facerec.errors import ContractError, InputError
from facerec.folder.names import parse_tag
from facerec.folder.records import Trajectory
from facerec.interchange.cvat import is_cvat
from facerec.support.csv_tables import read_table
from facerec.support.text import counted

EXPORT_COLUMNS = ("movie_id", "cluster_id", "cluster_status", "label", "tag", "image_status", "trajectory")
CLUSTER_STATUSES = ("labeled", "mixed", "postponed", "discarded")
IMAGE_STATUSES = ("same", "different", "invalid")


@dataclass(frozen=True)
class Annotation:
    """A row of the export: what annotators said about one thumbnail.

    Attributes:
        line: 1-based line of the file.
        cluster_status: one of `CLUSTER_STATUSES`, or empty.
        label: of the thumbnail's cluster: an actor id or a typed name; empty if it has none.
        tag, frame: of the thumbnail's face.
        image_status: one of `IMAGE_STATUSES`, or empty.
        trajectory: index of the face's trajectory.
    """

    line: int
    cluster_status: str
    label: str
    tag: str
    frame: int
    image_status: str
    trajectory: int


def has_movie(path: Path, movie_id: int) -> bool:
    """Return whether annotators' labels have a row of a movie; a file of CVAT is about one movie, any.

    Raises:
        ContractError: the file is not such a table.
    """
    if is_cvat(path):
        return True
    rows = read_table(path, EXPORT_COLUMNS, any_separator=True)
    return any(row["movie_id"] == str(movie_id) for _, row in rows)


def read_export(path: Path, movie_id: int, trajectories: Sequence[Trajectory]) -> Iterator[Annotation]:
    """Read the rows of one movie.

    Raises:
        ContractError: a row has an unknown status, or a tag or trajectory that the folder does not have.
        InputError: the file has no row of this movie.
    """
    for row, box in _read_rows(path, movie_id):
        index, frame = row.trajectory, row.frame
        one = trajectories[index] if 0 <= index < len(trajectories) else None
        found = one.boxes[frame - one.start].tolist() if one and one.start <= frame < one.end else None
        if found != list(box):
            rule = (
                f"trajectory {index} has no box {row.tag}; "
                "the labels were made with another version of this movie folder"
            )
            raise ContractError(path, rule, row.line)
        yield row


def read_export_by_tag(
    path: Path, movie_id: int, trajectories: Sequence[Trajectory]
) -> tuple[list[Annotation], int]:
    """Read the rows of one movie, also if they were made with another version of its folder.

    Returns:
        The rows of the faces that the folder still has, each with the index of the face's trajectory in
        this folder, and the number of other rows.

    Raises:
        ContractError: a row has an unknown status, or its tag or trajectory cannot be read.
        InputError: the file has no row of this movie, or none of a face that the folder has.
    """
    rows = list(_read_rows(path, movie_id))
    wanted = sorted({row.frame for row, _ in rows})
    trajectory_of: dict[tuple[int, ...], int] = {}  # by frame and box; no two have the same
    for one in trajectories:
        for frame in wanted[bisect_left(wanted, one.start) : bisect_left(wanted, one.end)]:
            trajectory_of[(frame, *one.boxes[frame - one.start].tolist())] = one.index
    indices = [trajectory_of.get((row.frame, *box)) for row, box in rows]
    kept = [
        replace(row, trajectory=index)
        for (row, _), index in zip(rows, indices, strict=True)
        if index is not None
    ]
    if not kept:
        raise InputError(
            f"{path}: none of {counted(len(rows), 'face')} of movie {movie_id} is in its folder; "
            "the labels were made with another version of it"
        )
    _warn_of_other_trajectories(path, zip((row for row, _ in rows), indices, strict=True))
    return kept, len(rows) - len(kept)


def _warn_of_other_trajectories(path: Path, rows: Iterable[tuple[Annotation, int | None]]) -> None:
    """Warn of rows with another trajectory than that of their tag.

    Args:
        rows: each with the index of the trajectory that has its face; None if there is none.
    """
    others = [(row, index) for row, index in rows if index not in (None, row.trajectory)]
    if others:
        row, index = others[0]
        more = f" ({len(others)} rows are like this)" if others[1:] else ""
        logging.warning(
            "%s:%d: the face %s is in trajectory %d, but its row has %d%s; the tag counts, which is right if "
            "the movie was extracted again since; in labels written by hand, correct one of the two",
            path, row.line, row.tag, index, row.trajectory, more,
        )  # fmt: skip


def labels_by_movie(paths: Sequence[Path], movies: Sequence[int]) -> dict[int, Path]:
    """Return which of several files has the labels of each movie.

    Args:
        movies: a file of CVAT has no movie id and is taken for the labels of the only one of these.

    Raises:
        ContractError: a row has no movie id, or a movie has rows in two files.
        InputError: a file of CVAT is given for several movies.
    """
    found: dict[int, Path] = {}
    for path in paths:
        if is_cvat(path):
            if len(movies) != 1 or len(paths) != 1:
                raise InputError(f"{path}: a file of CVAT is about one movie; give it with one --path, alone")
            return {movies[0]: path}
        for line, row in read_table(path, EXPORT_COLUMNS, any_separator=True):
            movie = row["movie_id"]
            if not (movie.isascii() and movie.isdigit()):
                raise ContractError(path, f"movie_id {movie[:40]!r} is not an integer", line)
            if found.setdefault(int(movie[:20]), path) != path:
                raise ContractError(path, f"movie {movie} also has rows in {found[int(movie)]}", line)
    return found


def _read_rows(path: Path, movie_id: int) -> Iterator[tuple[Annotation, tuple[int, ...]]]:
    """Yield each row of one movie and the box in its tag, x1, y1, x2, y2."""
    rows = 0
    for line, row in read_table(path, EXPORT_COLUMNS, any_separator=True):
        if row["movie_id"] != str(movie_id):
            continue
        rows += 1
        for key, known in (("cluster_status", CLUSTER_STATUSES), ("image_status", IMAGE_STATUSES)):
            if row[key] not in ("", *known):
                raise ContractError(path, f"{key} {row[key]!r} is not one of {', '.join(known)}", line)
        try:
            tag_movie_id, frame, box = parse_tag(row["tag"])
            index = int(row["trajectory"])
        except ValueError as error:
            raise ContractError(path, f"tag or trajectory is not valid: {error}", line) from None
        if tag_movie_id != movie_id:
            raise ContractError(path, f"the tag {row['tag']} is not of movie {movie_id}", line)
        status, label, tag = row["cluster_status"], row["label"].strip(), row["tag"]
        yield Annotation(line, status, label, tag, frame, row["image_status"], index), box
    if not rows:
        raise InputError(f"{path}: no row has the movie_id {movie_id}")
