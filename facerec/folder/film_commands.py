"""The command that makes a film of a folder of frames, parts or a digital cinema package."""

from __future__ import annotations

import struct
from pathlib import Path

from facerec.folder.names import MAX_MOVIE_ID
from facerec.support.shell import stage_command

FRAME_SUFFIXES = frozenset(
    (".dpx", ".exr", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".j2k", ".j2c", ".jp2", ".jpc", ".bmp")
)
_PACKAGE = ("ASSETMAP", "ASSETMAP.xml")
_HEADER = 1 << 16
_DPX_RATES = (1724, 1940)  # offsets of the frame rate in a DPX file: of film, of television (SMPTE ST 268)
_EXAMPLE_ID = 12345


def needs_film_of(folder: Path, movie_id: int | None = None, title: str = "") -> str:
    """Return a message about a folder in the place of a film; the arguments are those of `film_command`."""
    words = _options(folder, movie_id, title)
    rate = ", with their frame rate after --fps," if "--fps" in words else ""
    name = f"; {_EXAMPLE_ID} stands for the movie's id" if _lacks_id(folder) and movie_id is None else ""
    return (
        f"{folder}: is a folder, not a film; make one film of its frames or parts{rate} with: "
        f"{film_command(folder, movie_id, title)}{name}"
    )


def film_command(folder: Path, movie_id: int | None = None, title: str = "") -> str:
    """Return the command line that makes a film of a folder.

    Args:
        movie_id: of the film; None for the one in the folder's name, or an example.
        title: part of the film's name if the folder's name has no movie id; empty for the folder's name.
    """
    return stage_command("make_film", str(folder), *_options(folder, movie_id, title))


def id_in_name(name: str) -> int | None:
    """Return the movie id in a name `<movie_id>-<title>`; None if there is none.

    The number of a clip that is named by its date is too large to be one.
    """
    head, dash, _ = name.partition("-")
    number = head if dash and head.isascii() and head.isdigit() else ""
    return int(number) if 0 < len(number) < 20 and int(number) <= MAX_MOVIE_ID else None


def _lacks_id(folder: Path) -> bool:
    return id_in_name(folder.absolute().name) is None


def _options(folder: Path, movie_id: int | None, title: str) -> list[str]:
    """Return the options that `make_film.py` needs for this folder."""
    try:
        names = sorted(one.name for one in folder.iterdir() if not one.name.startswith("."))
    except OSError:
        names = []
    frames = [name for name in names if Path(name).suffix.lower() in FRAME_SUFFIXES]
    is_package = any(name in names for name in _PACKAGE)
    options = ["--fps", "24"] if frames and not is_package and not _has_rate(folder / frames[0]) else []
    name = folder.absolute().name
    if _lacks_id(folder) or movie_id not in (None, id_in_name(name)):
        number = _EXAMPLE_ID if movie_id is None else movie_id
        suffix = ".mp4" if frames or is_package else ".mkv"
        options += ["--out", str(folder.parent / f"{number}-{title or name}{suffix}")]
    return options


def _has_rate(picture: Path) -> bool:
    """Return whether the header of a DPX or EXR picture has a frame rate."""
    suffix = picture.suffix.lower()
    if suffix not in (".dpx", ".exr"):
        return False
    try:
        with picture.open("rb") as file:
            header = file.read(_HEADER)
    except OSError:
        return False
    if suffix == ".exr":
        return b"framesPerSecond\0" in header
    if len(header) < 8:
        return False
    order = ">" if header[:4] == b"SDPX" else "<"
    (end,) = struct.unpack_from(f"{order}I", header, 4)  # where the pixels begin
    at = [place for place in _DPX_RATES if place + 4 <= min(end, len(header))]
    return any(1 <= struct.unpack_from(f"{order}f", header, place)[0] <= 240 for place in at)
