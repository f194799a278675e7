"""Make one film file of a master: choose encoding or joining, write, check, publish."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Literal

from facerec.errors import InputError, StaleError
from facerec.folder.film_commands import id_in_name
from facerec.folder.names import film_movie_id
from facerec.masters.checking import check_encoded, check_joined, duration_text, has_constant_rate
from facerec.masters.dcp import Reel, read_package
from facerec.masters.encoding import encode_film, remove_segments
from facerec.masters.joining import CONTAINERS, are_streams, check_joinable, join_parts
from facerec.masters.numbered import describe_gaps, list_pictures
from facerec.masters.pictures import is_xyz, picture_facts
from facerec.masters.recognition import Kind, Master
from facerec.masters.sources import FilmRange, FilmSource, PictureSource, Source, check_one_size
from facerec.masters.views import View
from facerec.support.atomic import remove_stale_temporaries, sync_files, sync_folder, temporary_dir
from facerec.support.cli import progress
from facerec.support.shell import NEW_MOVIE, add_movie_command, command_line, option
from facerec.support.signals import stop_on_signals
from facerec.support.text import counted
from facerec.video.film import Film, open_film, read_decoded

log = logging.getLogger(__name__)

_RATES = {"23.976": "24000/1001", "23.98": "24000/1001", "29.97": "30000/1001", "59.94": "60000/1001"}


@dataclass(frozen=True)
class FilmOptions:
    """What the user asked for; None and "auto": as the master says.

    Attributes:
        out: the film to make.
        rate: frames per second.
        hold: show the frame before where one is missing or damaged.
        only: shell pattern of the pictures to take.
        composition: playlist of the digital cinema package.
        encode: encode films also where they can be joined.
        crf: x264's quality.
    """

    out: Path | None = None
    rate: Fraction | None = None
    view: View | Literal["auto"] = "auto"
    hold: bool = False
    only: str = "*"
    composition: Path | None = None
    encode: bool = False
    crf: int = 14
    overwrite: bool = False


def parse_rate(text: str) -> Fraction:
    """Return frames per second from `24`, `23.976` or `24000/1001`.

    Raises:
        InputError: it is not a number from 1 to 240.
    """
    try:
        rate = Fraction(_RATES.get(text, text))
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1 <= rate <= 240:
        raise InputError(f"--fps {text}: give frames per second, as in 24, 23.976 or 24000/1001")
    return rate


def make_film(master: Master, wishes: FilmOptions, *, dry_run: bool = False) -> str:
    """Make and check the film, whole or not at all; returns a line that says what was made.

    Raises:
        InputError: it cannot be made of this.
        StaleError: there is such a film already, or another process makes it.
    """
    joins = _joins(master, wishes)
    out = _out(master, wishes, ".mkv" if joins else ".mp4")
    if joins:
        if wishes.rate is not None:
            raise InputError("--fps: joined parts keep their times; a new rate needs --encode")
        check_joinable(master.films)
        return (
            f"dry run: {counted(len(master.films), 'part')} can be joined"
            if dry_run
            else _join(master.films, out) + _next(out)
        )
    source, notes = _source(master, wishes)
    if dry_run:
        return f"dry run: {out} would have {counted(source.frame_count, 'frame')}{notes}"
    with _published(out) as staged, stop_on_signals() as stop:
        with progress(out.name, source.frame_count) as advance:
            held = encode_film(source, staged, out, wishes.crf, stop, advance)
        film = check_encoded(staged, source)
    remove_segments(out)
    notes += f"; held frames: {held}, as a tag of the film says" if held else ""
    return (
        f"{out}: {counted(film.frame_count, 'frame')}, {duration_text(film, source.rate)}{notes}{_next(out)}"
    )


def _next(out: Path) -> str:
    """Return the command that gives the film its row in the actor database, for the labeling backend."""
    command = add_movie_command(Path("actor_db"), film_movie_id(out), "--film", str(out))
    return f"; next: {command} (a movie without a cast needs in ADD_ARGS also {command_line(*NEW_MOVIE)})"


def _joins(master: Master, wishes: FilmOptions) -> bool:
    return len(master.films) > 1 and not wishes.encode and wishes.view in ("auto", "none")


def _out(master: Master, wishes: FilmOptions, suffix: str) -> Path:
    """Return the film to write; raises InputError or StaleError if it cannot be."""
    out = wishes.out
    if out is None:
        if master.folder is None:
            raise InputError("--out: say how the film is to be named, as in --out films/12345-Title.mp4")
        folder = master.folder.absolute()
        out = folder.parent / (folder.name + suffix)
        out = Path(os.path.relpath(out)) if not master.folder.is_absolute() else out
        if id_in_name(out.name) is None:
            raise InputError(
                f"{master.folder}: has no movie id in its name, which the film would get; name the film: "
                f"{command_line('--out', str(out.with_name(f'12345-{out.name}')))} with its id for 12345"
            )
    film_movie_id(out)
    if out.suffix not in CONTAINERS:
        raise InputError(f"{out}: the name must end in {', '.join(CONTAINERS)}")
    if any(out.exists() and path.exists() and path.samefile(out) for path in master.films):
        raise InputError(f"{out}: is one of the parts; choose another name with --out")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent}: no such folder")
    if out.exists() and not wishes.overwrite:
        raise StaleError(f"{out}: exists already; to make it again, add {option('--overwrite')}")
    return out


def _source(master: Master, wishes: FilmOptions) -> tuple[Source, str]:
    """Return the frames to encode, and notes for the summary."""
    if master.kind is Kind.PICTURES:
        assert master.folder is not None
        return _picture_source(master.folder, wishes)
    if master.kind is Kind.PACKAGE:
        assert master.folder is not None
        reels = read_package(master.folder, wishes.composition)
        ranges, rate = [_reel_range(reel) for reel in reels], reels[0].rate
    else:
        films = [open_film(path) for path in master.films]
        ranges, rate = [FilmRange(film, 0, film.frame_count) for film in films], films[0].frame_rate
        for film in films:
            if not has_constant_rate(film) and wishes.rate is None:
                log.warning("%s: its frame rate varies; its frames get %s per second", film.path, rate)
    view = wishes.view
    if view == "auto":
        view = "xyz" if master.kind is Kind.PACKAGE else _view_of(ranges[0].film)
    check_one_size(ranges, view)
    begins = accumulate([part.end - part.beg for part in ranges], initial=0)
    parts = _parts(zip([part.film.path for part in ranges], begins, strict=False))
    notes = f", view {view}" + (f"; {parts}" if len(ranges) > 1 else "")
    return FilmSource(ranges, wishes.rate or rate, view, wishes.hold), notes


def _picture_source(folder: Path, wishes: FilmOptions) -> tuple[Source, str]:
    pictures = list_pictures(folder, wishes.only)
    if pictures.gaps:
        gaps = describe_gaps(pictures.gaps)
        if not wishes.hold:
            raise InputError(
                f"{folder}: {gaps}; add them, or show the frame before in their place with --gaps hold"
            )
        log.warning("%s: %s; the frame before is held", folder, gaps)
    if pictures.ignored:
        log.info("%s: %d other files are ignored", folder, len(pictures.ignored))
    files = pictures.frame_files()
    facts = picture_facts(files[0])
    rate = wishes.rate or facts.rate
    if rate is None:
        raise InputError(f"{folder}: the pictures do not say the frame rate; give it, as in --fps 24")
    view: View = wishes.view if wishes.view != "auto" else facts.view
    source = PictureSource(
        pictures, rate, (facts.width, facts.height), facts.sample_aspect, view, wishes.hold, files
    )
    return source, f", view {view}; frame 0 is {pictures.names[0]}"


def _reel_range(reel: Reel) -> FilmRange:
    film = open_film(reel.path)
    end = film.frame_count if reel.frames is None else reel.beg + reel.frames
    if end > film.frame_count:
        raise InputError(
            f"{reel.path}: has {film.frame_count} frames, the composition shows {reel.beg} to {end - 1}; "
            "copy the package again"
        )
    return FilmRange(film, reel.beg, end)


def _view_of(film: Film) -> View:
    first = next(iter(read_decoded(film, 0, 1)), None)
    return "xyz" if first is not None and is_xyz(first.picture) else "none"


def _join(paths: Sequence[Path], out: Path) -> str:
    """Join parts and check the result.

    Parts that are streams of bytes may begin within a frame, so that only the whole has a number of frames.
    """
    streams = are_streams(paths)
    films = [] if streams else [open_film(path) for path in paths]
    for film in films:
        if not has_constant_rate(film):
            raise InputError(
                f"{film.path}: its frame rate varies, so the labeling backend, which seeks by a constant "
                "one, would show other frames; run the command again with --encode"
            )
        if abs(film.frame_rate / films[0].frame_rate - 1) > Fraction(1, 1000):
            raise InputError(
                f"{film.path}: has {film.frame_rate} frames per second, {films[0].path} "
                f"{films[0].frame_rate}; run the command again with --encode"
            )
    with _published(out) as staged, stop_on_signals() as stop:
        total = sum(path.stat().st_size for path in paths)
        with progress(out.name, total, "bytes") as advance:
            joined = join_parts(paths, list(map(_times, films)), staged, out.suffix, stop, advance)
        begins = list(accumulate([film.frame_count for film in films], initial=0))[:-1]
        frames = joined.frames if streams else sum(film.frame_count for film in films)
        film = check_joined(staged, frames, films, begins)
    sound = "" if joined.sound else ", without sound"
    word = "from about" if streams else "from"
    parts = _parts(zip(paths, joined.begins if streams else begins, strict=True), word)
    return (
        f"{out}: {counted(film.frame_count, 'frame')}, {duration_text(film, film.frame_rate)}{sound}; {parts}"
    )


def _times(film: Film) -> tuple[Fraction, Fraction]:
    """Return when the first frame is shown and the last one ends, in seconds."""
    return int(film.pts[0]) * film.time_base, int(film.pts[-1]) * film.time_base + 1 / film.frame_rate


def _parts(begins: Iterable[tuple[Path, int]], word: str = "from") -> str:
    return ", ".join(f"{path.name} {word} frame {begin}" for path, begin in begins)


@contextmanager
def _published(out: Path) -> Iterator[Path]:
    """Yield a temporary path; after the block the file is synced and renamed to `out`."""
    remove_stale_temporaries(out.parent)
    with temporary_dir(out.parent, out.name) as folder:
        staged = folder / out.name
        yield staged
        sync_files([staged])
        staged.replace(out)
        sync_folder(out.parent)
