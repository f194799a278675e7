"""Pictures of several people: propose who each face is, by the pictures of single people, to be confirmed.

A proposal is a folder with a table that the user edits and a picture of each face, cut out so that it shows
one face only. A confirmed face becomes a picture of its actor.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.actors.database import ActorDatabase
from facerec.actors.people import Member, name_key
from facerec.actors.picture_names import Picture, year_in
from facerec.actors.pictures import read_picture
from facerec.errors import ContractError, InputError
from facerec.folder.documents import DISPLAY_THRESHOLD
from facerec.geometry import Box, Image
from facerec.models.base import Detector, Embedder
from facerec.people.naming import name_clusters
from facerec.settings import GallerySettings
from facerec.support.csv_tables import read_table

COLUMNS = ("face", "confirm", "proposed", "id", "probability", "others", "still", "box", "picture")
MAX_SIDE = 2560  # pixels of the longer side of a still
YES = frozenset(("yes", "y", "x", "1", "true"))
NO = frozenset(("", "no", "n", "-", "0", "false"))
_PADDINGS = (0.6, 0.4, 0.25, 0.12)  # of a face's longer side, around its picture
_QUALITY = 95  # of JPEG


@dataclass(frozen=True)
class StillFace:
    """A face of a still.

    Attributes:
        number: of all faces, from 1.
        box: x1, y1, x2, y2 in pixels of the still, of at most `MAX_SIDE` pixels.
        names: probability by actor id, most likely first.
        picture: the face cut out, RGB.
        shows_one_face: whether the detector finds one face in it.
        confirm: what the user wrote in the table.
    """

    still: Path
    number: int
    box: Box
    names: Mapping[str, float]
    picture: Image
    shows_one_face: bool
    confirm: str = ""

    @property
    def proposed(self) -> str:
        """Actor id of the proposal; empty if nobody is likely enough."""
        best = next(iter(self.names), "")
        return best if best and self.names[best] > DISPLAY_THRESHOLD else ""

    @property
    def file_name(self) -> str:
        """Name of the file of the cut-out face."""
        return f"face-{self.number:03}.jpg"


def propose(
    database: ActorDatabase,
    movie_id: int,
    stills: Sequence[Path],
    models: tuple[Detector, Embedder],
    settings: GallerySettings,
    advance: Callable[[int], None] = lambda n: None,
) -> list[StillFace]:
    """Find the faces of stills and name them by the prepared pictures of the movie's cast.

    Two faces of one still never have the same name.

    Args:
        models: those that made the database's embeddings.
        settings: which faces count, as for the database's pictures.
        advance: called with the number of stills just done.

    Raises:
        InputError: a still cannot be read, or no actor of the movie has a prepared picture.
    """
    detector, embedder = models
    gallery = database.gallery(movie_id, embedder.dimension)
    if not gallery.actors:
        raise InputError(
            f"no actor of movie {movie_id} has a prepared picture to compare stills with; add pictures of "
            "single people with --pictures and run prepare_actors.py"
        )
    faces: list[StillFace] = []
    for still in stills:
        pixels = read_picture(still, MAX_SIDE)
        (found,) = detector.detect([pixels])
        heights = found.boxes[:, 3] - found.boxes[:, 1]
        kept = np.flatnonzero(heights >= settings.min_share * heights.max(initial=0))
        kept = kept[np.argsort(found.boxes[kept, 0], kind="stable")]  # from left to right
        crops = [embedder.crop(pixels, found.boxes[i], found.keypoints[i]) for i in kept]
        n = len(kept)
        pairs = np.array([*combinations(range(n), 2)], np.int64).reshape(-1, 2)
        names = name_clusters(
            embedder.embed(crops), np.ones(n, bool), pairs,
            gallery.vectors, gallery.actor_of, gallery.actors, embedder.same_person,
        )  # fmt: skip
        for i, row in zip(kept, names, strict=True):
            picture, alone = _cut_out(pixels, found.boxes, int(i), detector, settings)
            x1, y1, x2, y2 = (round(float(side)) for side in found.boxes[i])
            faces.append(StillFace(still, len(faces) + 1, (x1, y1, x2, y2), row, picture, alone))
        advance(1)
    return faces


def _cut_out(
    pixels: Image, boxes: NDArray[np.float32], face: int, detector: Detector, settings: GallerySettings
) -> tuple[Image, bool]:
    """Return the picture of one face without others, and whether the detector finds just that face."""
    x1, y1, x2, y2 = boxes[face]
    picture = pixels
    for padding in _PADDINGS:
        pad = padding * max(x2 - x1, y2 - y1)
        left, top = max(0, int(x1 - pad)), max(0, int(y1 - pad))
        right, bottom = int(np.ceil(x2 + pad)), int(np.ceil(y2 + pad))
        picture = np.ascontiguousarray(pixels[top:bottom, left:right])
        (found,) = detector.detect([picture])
        heights = found.boxes[:, 3] - found.boxes[:, 1]
        kept = found.boxes[heights >= settings.min_share * heights.max(initial=0)]
        if len(kept) == 1 and _overlap(kept[0], boxes[face] - np.array([left, top] * 2, np.float32)) > 0.4:
            return picture, True
    return picture, False


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Return the intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.maximum(sides, 0).prod())
    areas = float((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod())
    return common / max(areas - common, 1e-9)


def with_earlier_answers(faces: Sequence[StillFace], table: Path) -> list[StillFace]:
    """Take over what the user wrote in an earlier table, for the same faces of the same stills."""
    if not table.exists():
        return list(faces)
    rows = [row for _, row in read_table(table, COLUMNS, any_separator=True)]
    answers = {(row["still"], row["box"]): row["confirm"] for row in rows}
    return [replace(face, confirm=answers.get((str(face.still), _box_text(face)), "")) for face in faces]


def proposal_files(
    folder: Path, faces: Sequence[StillFace], names: Mapping[str, str]
) -> tuple[Path, dict[Path, bytes]]:
    """Return the path of the table and the bytes of all files of a proposal.

    Args:
        names: of actors by id.
    """
    import PIL.Image

    files: dict[Path, bytes] = {}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for face in faces:
        jpeg = io.BytesIO()
        PIL.Image.fromarray(face.picture).save(jpeg, "JPEG", quality=_QUALITY, subsampling=0)
        files[folder / face.file_name] = jpeg.getvalue()
        shown = face.names.get(face.proposed, 0.0)
        others = "; ".join(
            f"{names.get(a, a)} {p:.2f}" for a, p in list(face.names.items())[:3] if a != face.proposed
        )
        writer.writerow(
            [
                face.number,
                face.confirm,
                names.get(face.proposed, ""),
                face.proposed,
                f"{shown:.3f}" if face.proposed else "",
                others,
                str(face.still),
                _box_text(face),
                face.file_name,
            ]
        )
    table = folder / "faces.csv"
    files[table] = text.getvalue().encode()
    return table, files


def _box_text(face: StillFace) -> str:
    return " ".join(map(str, face.box))


def confirmed(table: Path, members: Sequence[Member]) -> list[Picture]:
    """Read the faces that the user confirmed in a table of `proposal_files`.

    The cell `confirm` is `yes` for the person proposed, the name or id of another one of the cast, or `no` or
    empty.

    Raises:
        InputError: there is no such table, or a picture of it is missing.
        ContractError: a cell names nobody in the cast, or several people.
    """
    by_name: dict[str, set[str]] = {}
    for member in members:
        for name in (member.entry.name, *(member.known.names if member.known else ())):
            by_name.setdefault(name_key(name), set()).add(member.actor_id)
    ids = {member.actor_id for member in members}
    pictures = []
    for line, row in read_table(table, COLUMNS, any_separator=True):
        answer = row["confirm"].strip()
        if answer.casefold() in NO:
            continue
        named = {row["id"]} - {""} if answer.casefold() in YES else by_name.get(name_key(answer), set())
        named = {answer} if answer in ids else named & ids
        if len(named) != 1:
            problem = "is the name of several people; write the id" if named else (
                "but nobody of the cast is proposed; write a name" if answer.casefold() in YES
                else "is neither yes, no, nor a name or id of the cast"
            )  # fmt: skip
            raise ContractError(table, f"confirm {answer[:60]!r}: {problem}", line)
        path = table.parent / Path(row["picture"]).name
        if not path.is_file():
            raise InputError(f"{path}: the picture of face {row['face']} is missing; run --still again")
        pictures.append(Picture(path, named.pop(), year_in([Path(row["still"]).stem])))
    return pictures
