"""The pictures of a movie: thumbnails of saved faces, and frames of the film if its file is there."""

from __future__ import annotations

import io
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.actors.pictures import DECODER_ERRORS
from facerec.errors import ContractError, InputError
from facerec.folder.face_archive import open_face_archive
from facerec.folder.layout import MovieFolder
from facerec.folder.names import existing_path, parse_tag
from facerec.folder.plan import Plan, planned_film_path

if TYPE_CHECKING:
    import PIL.Image

    from facerec.video.film import Film


_MAX_PIXELS = 1 << 20  # of a thumbnail; one that this program wrote has 25,600


def read_picture(folder: MovieFolder, plan: Plan, tag: str, saved: Collection[str]) -> PIL.Image.Image:
    """Return the thumbnail of a saved face, from `images/` or the archive of its shard.

    Args:
        saved: the tags of all saved faces.

    Raises:
        InputError: there is no such face, or its thumbnail was not kept.
        ContractError: the thumbnail or the archive is damaged.
    """
    import PIL.Image

    if tag not in saved:
        raise InputError(f"{folder.path}: has no saved face {tag!r}; movie.faces lists them by tag")
    path = folder.thumbnail(tag)
    if path.is_file():
        data = path.read_bytes()
    else:
        path = folder.shard(*plan.range_of(plan.shard_of(parse_tag(tag)[1]))).faces
        if not path.is_file():
            raise InputError(
                f"{tag}: no picture of this face is in {folder.images.name}/, and {path} is gone"
            )
        with open_face_archive(path, len(saved)) as archive:
            data = archive.read(tag)
    try:
        picture = PIL.Image.open(io.BytesIO(data), formats=["JPEG"])
        if picture.width * picture.height > _MAX_PIXELS:
            size = f"{picture.width}x{picture.height}"
            raise ContractError(path, f"the thumbnail of face {tag} has {size} pixels")
        return picture.copy()
    except DECODER_ERRORS:
        raise ContractError(path, f"the thumbnail of face {tag} is not a readable JPEG") from None


class FrameReader:
    """Reads frames of the film of a plan.

    Args:
        film: None: where the film was when it was extracted.
    """

    def __init__(self, folder: MovieFolder, plan: Plan, film: Path | None) -> None:
        self._folder, self._plan, self._path = folder, plan, film

    def read(self, number: int) -> PIL.Image.Image:
        """Return a frame at display size.

        Raises:
            InputError: there is no such frame, it cannot be decoded, or the film is missing or another one.
        """
        import PIL.Image

        from facerec.video.film import read_frames

        if not 0 <= number < self._plan.frame_count:
            raise InputError(f"frame {number}: the film has the frames 0 to {self._plan.frame_count - 1}")
        for found, image in read_frames(self._opened, number, number + 1, thread_count=1):
            if found == number:
                return PIL.Image.fromarray(image)
        raise InputError(f"{self._opened.path}: frame {number} cannot be decoded")

    @cached_property
    def _opened(self) -> Film:
        from facerec.extraction.planned_film import planned_film
        from facerec.video.identity import probe_sha256

        path = existing_path(self._path or planned_film_path(self._folder))
        if not path.is_file():
            raise InputError(f"{path}: no such film; give its path with open_movie(…, film=…)")
        recorded = self._plan.film
        if path.stat().st_size != recorded.get("bytes") or probe_sha256(path) != recorded.get("probe"):
            raise InputError(
                f"{path}: is not the film that {self._folder.path} was made from; give that one with film=…"
            )
        return planned_film(self._plan, path)
