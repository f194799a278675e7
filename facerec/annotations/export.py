"""The labeling backend's export of annotations, read as what was said of each trajectory."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facerec.errors import ContractError, InputError
from facerec.folder.names import parse_tag
from facerec.folder.records import Trajectory
from facerec.support.csv_tables import read_table


def plain_name(name: str) -> str:
    """A person's name as truth files spell it: `Lin-Manuel Miranda` is `lin_manuel_miranda`.

    Accents are dropped, as truth files do; letters of other scripts stay.
    """
    bare = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\W_]+", "_", "".join(bare).casefold()).strip("_")


EXPORT_COLUMNS = ("movie_id", "cluster_id", "cluster_status", "label", "tag", "image_status", "trajectory")


IMAGE_STATUSES = ("same", "different", "invalid")


CLUSTER_STATUSES = ("labeled", "mixed", "postponed", "discarded")


@dataclass(frozen=True)
class Annotation:
    """A row of the backend's export: what people said of one picture.

    Attributes:
        line: of the file, 1-based.
        label: of the picture's cluster: an actor id, or a name that somebody typed; empty where none.
        cluster_status, image_status: one of `CLUSTER_STATUSES`, `IMAGE_STATUSES`, or empty.
    """

    line: int
    cluster_status: str
    label: str
    tag: str
    frame: int
    image_status: str
    trajectory: int


def read_export(path: Path, movie_id: int, trajectories: Sequence[Trajectory]) -> Iterator[Annotation]:
    """The rows of the backend's export that are of this movie.

    Raises:
        ContractError: a status that the backend does not have, a tag or trajectory that is not this
            folder's.
        InputError: no row is of this movie.
    """
    rows = 0
    for line, row in read_table(path, EXPORT_COLUMNS):
        if row["movie_id"] != str(movie_id):
            continue
        rows += 1
        for key, known in (("cluster_status", CLUSTER_STATUSES), ("image_status", IMAGE_STATUSES)):
            if row[key] not in ("", *known):
                raise ContractError(path, f"{key} {row[key]!r} is none of {', '.join(known)}", line)
        try:
            of_movie, frame, box = parse_tag(row["tag"])
            index = int(row["trajectory"])
        except ValueError as error:
            raise ContractError(path, f"no picture of a trajectory: {error}", line) from None
        one = trajectories[index] if 0 <= index < len(trajectories) else None
        here = one.boxes[frame - one.start].tolist() if one and one.start <= frame < one.end else None
        if of_movie != movie_id or here != list(box):
            rule = f"trajectory {index} has no box {row['tag']}: labels of another version of the folder"
            raise ContractError(path, rule, line)
        yield Annotation(
            line, row["cluster_status"], row["label"].strip(), row["tag"], frame, row["image_status"], index
        )
    if not rows:
        raise InputError(f"{path}: no row of movie {movie_id}")
