"""Read and write `actor_origins.csv`: faces of films that annotators judged.

A `learnt` face is a picture of the database; a `rejected` one never becomes one. Box and keypoints of a
learnt face are kept so that its picture can be embedded again without detection, which often fails on so
small a crop.

The labeling backend shows the first three pictures of an actor: rows of `actor_images.csv` with the id of the
movie being labeled come before the others, each part by ascending `n_detections`, equal ones in any order. So
that portraits come first whatever movie is labeled, the row of a learnt picture has a movie id that no movie
has and an `n_detections` that no portrait has. Its film is in its tag.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.actors.database import ActorDatabase
from facerec.errors import ContractError
from facerec.folder.names import parse_tag
from facerec.support.csv_tables import read_table, set_cells

COLUMNS = ("tag", "status", "actor_id", "filename", "sha256", "quality", "box", "keypoints")
LEARNT, REJECTED = "learnt", "rejected"
SHOWN_LAST = {"movie_id": "-1", "n_detections": "1000"}  # cells of learnt pictures in actor_images.csv


@dataclass(frozen=True)
class Origin:
    """A judged face; all but the tag is empty for a rejected one.

    Attributes:
        tag: of the face in its movie folder.
        actor_id: actor that the picture shows.
        filename: of the picture in `actor_images/`.
        sha256: of the picture's bytes, for which box and keypoints hold.
        quality: 0..1, how much the face says about identity.
        box: (4,) float32 x1, y1, x2, y2 in pixels of the picture.
        keypoints: (5, 2) float32 x, y in pixels of the picture.
    """

    tag: str
    actor_id: str = ""
    filename: str = ""
    sha256: str = ""
    quality: float = 0.0
    box: NDArray[np.float32] | None = None
    keypoints: NDArray[np.float32] | None = None

    @property
    def movie_id(self) -> int:
        """Movie that the face is from."""
        return parse_tag(self.tag)[0]

    @property
    def learnt(self) -> bool:
        """Whether the face is a picture of the database."""
        return self.box is not None


def read_origins(database: ActorDatabase) -> dict[str, Origin]:
    """Read the judged faces by tag; none if the table does not exist.

    Raises:
        ContractError: a row cannot be used.
    """
    origins: dict[str, Origin] = {}
    path = database.origins
    for line, row in read_table(path, COLUMNS) if path.exists() else ():
        tag = row["tag"]
        try:
            parse_tag(tag)
            if row["status"] == REJECTED:
                made = Origin(tag)
            elif row["status"] == LEARNT:
                box, keypoints = _numbers(row["box"], 4), _numbers(row["keypoints"], 10).reshape(5, 2)
                quality = float(row["quality"])
                made = Origin(tag, row["actor_id"], row["filename"], row["sha256"], quality, box, keypoints)
            else:
                raise ValueError(f"status {row['status']!r} is neither {LEARNT} nor {REJECTED}")
        except ValueError as error:
            raise ContractError(path, str(error)[:200], line) from None
        if tag in origins:
            raise ContractError(path, f"duplicate: {tag} has an earlier row", line)
        origins[tag] = made
    return origins


def origins_bytes(origins: Iterable[Origin]) -> bytes:
    """Return the bytes of the table that `read_origins` reads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in origins:
        if one.box is None or one.keypoints is None:
            writer.writerow([one.tag, REJECTED] + [""] * (len(COLUMNS) - 2))
        else:
            numbers = [_text(one.box), _text(one.keypoints)]
            quality = f"{one.quality:.4f}"
            writer.writerow([one.tag, LEARNT, one.actor_id, one.filename, one.sha256, quality, *numbers])
    return text.getvalue().encode()


def show_last(table: str, learnt: Collection[str]) -> str:
    """Make the labeling backend show the pictures `learnt` after all portraits.

    Args:
        table: text of `actor_images.csv`.
        learnt: file names.
    """
    return set_cells(table, "filename", learnt, SHOWN_LAST)


def _text(numbers: NDArray[np.float32]) -> str:
    """Format numbers as a cell."""
    return " ".join(f"{x:.2f}" for x in numbers.ravel().tolist())


def _numbers(cell: str, count: int) -> NDArray[np.float32]:
    """Parse a cell of `count` finite numbers; raises ValueError."""
    numbers = np.array([float(x) for x in cell.split()], np.float32)
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise ValueError(f"{cell[:80]!r} does not hold {count} numbers")
    return numbers
