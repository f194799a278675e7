"""Draw stills with numbered faces, and beside each face who it may be and a picture of that person."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
from PIL import ImageDraw, ImageOps

from facerec.actors.database import ActorDatabase, Gallery
from facerec.actors.pictures import read_picture
from facerec.actors.stills import MAX_SIDE, StillFace, proposal_files, propose, with_earlier_answers
from facerec.models.base import Detector, Embedder
from facerec.reporting.fonts import draw_text, drawable, font_for
from facerec.settings import GallerySettings
from facerec.support.atomic import write_changed

# all lengths are pixels
_WIDTH, _MARGIN, _GAP, _SIDE, _ROW = 1360, 28, 12, 112, 136
_STILL_WIDTH, _STILL_HEIGHT = 620, 520
_BACKGROUND, _BRIGHT, _DIM, _MARK = (18, 20, 25), (238, 240, 244), (146, 153, 167), (240, 160, 75)


@dataclass(frozen=True)
class Proposal:
    """The files of a proposal, and how many faces it has and how many of them with a likely name."""

    table: Path
    sheet: Path
    faces: int
    likely: int


def write_proposal(
    database: ActorDatabase,
    movie_id: int,
    stills: Sequence[Path],
    models: tuple[Detector, Embedder],
    settings: GallerySettings,
    advance: Callable[[int], None] = lambda n: None,
) -> Proposal:
    """Propose who is who in stills and write the table, the faces and the sheet; answers that are there stay.

    Args and errors: as `actors.stills.propose`.
    """
    faces = propose(database, movie_id, stills, models, settings, advance)
    names = database.cast(movie_id)
    folder = database.stills / str(movie_id)
    faces = with_earlier_answers(faces, folder / "faces.csv")
    table, files = proposal_files(folder, faces, names)
    picture = io.BytesIO()
    draw_stills(database, database.gallery(movie_id), faces, names).save(picture, "PNG")
    sheet = folder / "sheet.png"
    folder.mkdir(parents=True, exist_ok=True)
    for path in files.keys() - {table}:  # one after the other: `write_changed` holds all files open
        write_changed({path: files[path]})
    write_changed({sheet: picture.getvalue(), table: files[table]})
    return Proposal(table, sheet, len(faces), sum(bool(face.proposed) for face in faces))


def draw_stills(
    database: ActorDatabase, gallery: Gallery, faces: Sequence[StillFace], names: Mapping[str, str]
) -> PIL.Image.Image:
    """Draw the sheet on which the user sees what to confirm.

    Args:
        gallery: prepared pictures of the cast.
        names: of actors by id.
    """
    by_still: dict[Path, list[StillFace]] = {}
    for face in faces:
        by_still.setdefault(face.still, []).append(face)
    small = {still: _numbered(still, own) for still, own in by_still.items()}
    heights = [max(small[still].height + 44, _ROW * len(own)) + _GAP for still, own in by_still.items()]
    sheet = PIL.Image.new("RGB", (_WIDTH, _MARGIN + sum(heights, _MARGIN)), _BACKGROUND)
    top = _MARGIN
    for (still, own), height in zip(by_still.items(), heights, strict=True):
        sheet.paste(small[still], (_MARGIN, top))
        corner = _MARGIN, top + small[still].height + 8
        draw_text(sheet, corner, still.name, 15, _DIM, _STILL_WIDTH)
        for row, face in enumerate(own):
            _draw_face(sheet, top + row * _ROW, face, database, gallery, names)
        top += height
    return sheet


def _numbered(still: Path, faces: Sequence[StillFace]) -> PIL.Image.Image:
    """Return a still, small, with a numbered frame around each face."""
    picture = PIL.Image.fromarray(read_picture(still, MAX_SIDE))
    scale = min(_STILL_WIDTH / picture.width, _STILL_HEIGHT / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.resize(size, PIL.Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(small)
    for face in faces:
        x1, y1, x2, y2 = (side * scale for side in face.box)
        draw.rectangle((x1, y1, x2, y2), outline=_MARK, width=3)
        draw.text((x1 + 4, y1 + 2), str(face.number), font=font_for("0", 20, bold=True), fill=_MARK)
    return small


def _draw_face(
    sheet: PIL.Image.Image,
    top: int,
    face: StillFace,
    database: ActorDatabase,
    gallery: Gallery,
    names: Mapping[str, str],
) -> None:
    """Draw a face, the nearest picture of the person proposed, and what the table says."""
    left = _MARGIN + _STILL_WIDTH + 2 * _GAP
    sheet.paste(_square(PIL.Image.fromarray(face.picture)), (left, top))
    proposed = face.proposed
    if proposed:
        of_actor = gallery.actor_of == gallery.actors.index(proposed)
        known = next(name for name, own in zip(gallery.images, of_actor, strict=True) if own)
        portrait = database.picture(known)
        if portrait.is_file():
            picture = PIL.Image.fromarray(read_picture(portrait, 8 * _SIDE))
            sheet.paste(_square(picture), (left + _SIDE + _GAP, top))
    x, width = left + 2 * (_SIDE + _GAP), _WIDTH - _MARGIN - left - 2 * (_SIDE + _GAP)
    name = drawable(names.get(proposed, proposed), proposed) if proposed else "nobody is likely"
    draw_text(
        sheet, (x, top + 4), f"{face.number}   {name}", 22, _BRIGHT if proposed else _DIM, width, bold=True
    )
    first = list(face.names.items())[:3]
    likely = ", ".join(f"{100 * p:.0f} % {drawable(names.get(a, a), a)}" for a, p in first)
    draw_text(sheet, (x, top + 38), likely or "unknown", 14, _DIM, width)
    lines = [f"confirm: {face.confirm or '?'}"]
    lines += [] if face.shows_one_face else ["its picture shows no face, or several: it may not be used"]
    for i, line in enumerate(lines):
        draw_text(sheet, (x, top + 60 + 20 * i), line, 14, _MARK, width)


def _square(picture: PIL.Image.Image) -> PIL.Image.Image:
    return ImageOps.fit(picture, (_SIDE, _SIDE), PIL.Image.Resampling.LANCZOS, centering=(0.5, 0.05))
