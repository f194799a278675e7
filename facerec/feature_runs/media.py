"""Files of a list as footage: which kind a file is, by its name, and how each kind is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facerec.errors import InputError
from facerec.feature_runs.film_footage import FilmFootage, read_sound
from facerec.feature_runs.sources import Footage, Frame
from facerec.feature_runs.stills import SUFFIXES, open_frame_folder, open_picture
from facerec.folder.names import existing_path
from facerec.video import open_film
from facerec.video.sound import RATE, SoundReading, open_sound

SOUNDS = frozenset(
    (
        ".wav",
        ".flac",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".m4a",
        ".aac",
        ".wma",
        ".aif",
        ".aiff",
        ".ac3",
        ".amr",
    )
)
FILMS = frozenset(
    (
        ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".flv",
        ".asf", ".wmv", ".ogv", ".mxf", ".3gp", ".3g2", ".vob", ".dv", ".mjpeg", ".mjpg", ".h264", ".h265",
        ".hevc", ".ivf", ".rm", ".rmvb", ".nut", ".m1v", ".m2v", ".mj2", ".divx", ".f4v",
    )
)  # fmt: skip


def is_video(path: Path) -> bool:
    """Whether a path is taken for a video or a folder of frames, which have windows of frames."""
    return path.suffix.lower() not in SUFFIXES | SOUNDS


def is_media_file(path: Path) -> bool:
    """Whether a file's name is that of a video, picture or sound file."""
    return path.suffix.lower() in FILMS | SOUNDS | SUFFIXES


def without_suffix(path: str) -> str:
    """Remove the suffix of a file that is opened here; the end of another name, as `scene 2.5`, stays."""
    return path.removesuffix(Path(path).suffix) if is_media_file(Path(path)) else path


def open_footage(path: Path, frame_rate: float, threads: int = 0) -> Footage:
    """Open a video, a folder of frames, a picture or a sound file.

    Args:
        frame_rate: of folders of frames, in frames per second.
        threads: of video decoders; 0 for `cpu_threads()`.

    Raises:
        InputError: it is missing, unreadable or empty.
    """
    path = existing_path(path)
    if path.is_dir():
        return open_frame_folder(path, frame_rate)
    if not path.is_file():
        raise InputError(f"{path}: {'is not a file' if path.exists() else 'no such file or folder'}")
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return open_picture(path)
    if suffix in SOUNDS:
        return SoundFile(path)
    return FilmFootage(open_film(path), threads)


class SoundFile:
    """A file of sound alone, see `sources.Footage`.

    Raises:
        InputError: it cannot be read, or has no sound.
    """

    def __init__(self, path: Path) -> None:
        sound = open_sound(path)
        samples = 0 if sound is None else sum(map(len, SoundReading(sound).blocks()))
        if sound is None or not samples:
            raise InputError(f"{path}: has no sound")
        self.name, self._sound = str(path), sound
        self.times: NDArray[np.float64] = np.empty(0)
        self.duration = samples / RATE
        self.width = self.height = 0

    def frames(self, beg: int, end: int, wanted: NDArray[np.bool_]) -> Iterator[Frame]:
        """Return nothing: there are no frames."""
        return iter(())

    def sound(self, beg: float, end: float | None, rate: int) -> SoundReading | None:
        """Open the sound from `beg` to `end` seconds."""
        return read_sound(self._sound, beg, end)
