"""Copies of people's pictures in the actor database: upright, in a format that browsers show."""

from __future__ import annotations

import io
from hashlib import sha256
from pathlib import Path

from facerec.actors.pictures import is_upright, picture_format, read_picture

MAX_SIDE = 4096  # pixels of the longer side of a picture that is written again
_STEM = 40  # characters of the actor id in a file name, which may have 255 bytes
_QUALITY = 95  # of JPEG
_KEPT = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}  # suffix of formats that are copied byte by byte


def copy_name(actor_id: str, content: bytes, path: Path) -> str:
    """Return the file name of the copy of a picture: it depends on actor and content only.

    So the same picture is copied once, even from files of different names.
    """
    suffix = _KEPT.get(picture_format(path), ".jpg") if is_upright(path) else ".jpg"
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in actor_id[:_STEM])
    return f"{stem}-{sha256(content).hexdigest()[:10]}{suffix}"


def upright_copy(path: Path, content: bytes) -> bytes:
    """Return the bytes of the copy of a picture, after reading all of it.

    The bytes of an upright JPEG, PNG or WebP are kept; others become a JPEG without metadata, turned as
    EXIF says, of at most `MAX_SIDE` pixels.

    Raises:
        InputError: the picture cannot be read.
    """
    import PIL.Image

    pixels = read_picture(path, MAX_SIDE)
    if is_upright(path) and picture_format(path) in _KEPT:
        return content
    made = io.BytesIO()
    PIL.Image.fromarray(pixels).save(made, "JPEG", quality=_QUALITY, subsampling=0)
    return made.getvalue()
