"""Write finished movies in the formats of other programs: tables, networks, subtitles, annotations.

People are named by annotators where --labels or the folder's people.json name them, else by the most likely
prediction above --least, else "unknown 17", where 17 is the cluster.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.exporting.registry import FORMATS, Format, find_format
from facerec.folder.command import (
    add_actor_db_argument,
    add_least_argument,
    add_path_argument,
    run_on_folders,
)
from facerec.support.cli import configure_logging, parser, progress, run_main
from facerec.support.text import counted

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder
    from facerec.movies.movie import Movie


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(f"{__doc__}\nFormats:\n{_list_of_formats()}")
    add_path_argument(command_line)
    command_line.add_argument(
        "--format",
        required=True,
        metavar="FORMAT",
        help="one of the formats above; where it has two kinds of files, also as in screen-time.parquet",
    )
    command_line.add_argument(
        "--labels",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="annotators' labels: labels.csv of the review, exports of the labeling backend, or one "
        "corrected file of CVAT; a movie that none of them has keeps its predictions "
        "(default: people.json in each folder)",
    )
    add_least_argument(command_line, "a prediction names a person if its probability is above this, 0 to 1")
    add_actor_db_argument(command_line, "actor database, for names, roles and the identifiers of actors")
    command_line.add_argument(
        "--anonymous",
        action="store_true",
        help="people are `person 1`, `person 2`, …, without names, actor ids, roles and identifiers",
    )
    command_line.add_argument(
        "--url",
        metavar="URL",
        help="address under which you publish film and manifest, for iiif (default: https://example.org/)",
    )
    command_line.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="file with the format's suffix, or folder with one file per movie; only formats marked with * "
        "take several movies in one file (default: exports/ in each movie folder)",
    )
    return command_line


def _list_of_formats() -> str:
    width = max(map(len, FORMATS)) + 2
    return "\n".join(
        f"  {one.name:<{width}}{'* ' if one.joint else '  '}{one.contents} ({', '.join(one.suffixes)})"
        for one in FORMATS.values()
    )


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    chosen, suffix = find_format(args.format)
    if not 0 <= args.least <= 1:
        raise InputError(f"--least {args.least}: must be in 0..1")
    if args.url is not None:
        check_url(args.url, chosen)
    file = single_file(args.out, chosen, suffix)
    if file and not chosen.joint and len(args.path) > 1:
        rule = f"{chosen.name} has one file per movie; give a folder for {len(args.path)} movies"
        raise InputError(f"--out {file}: {rule}")
    from facerec.annotations.export import labels_by_movie
    from facerec.folder.layout import MovieFolder
    from facerec.movies.movie import open_movie

    ids = [MovieFolder.existing(path).movie_id for path in args.path]
    if twice := sorted({one for one in ids if ids.count(one) > 1}):
        raise InputError(f"--path: movie {twice[0]} is given twice; give each movie once")
    labels = labels_by_movie(args.labels or [], ids)

    def opened(folder: MovieFolder) -> Movie:
        if labels and folder.movie_id not in labels:
            logging.warning("movie %d: no file of --labels has a row of it", folder.movie_id)
        own = labels.get(folder.movie_id)
        return open_movie(
            folder.path, actor_db=args.actor_db, labels=own, least=args.least, anonymous=args.anonymous
        )

    if file:
        movies = []
        with progress("export", len(args.path), "movies") as advance:
            for path in args.path:
                movies.append(opened(MovieFolder.existing(path)))
                advance(1)
        print(write(movies, chosen, file, args.url))  # noqa: T201
        return 0

    def export(folder: MovieFolder) -> str:
        name = chosen.file_name(folder.movie_id, suffix)
        return write([opened(folder)], chosen, (args.out or folder.exports) / name, args.url)

    return run_on_folders(args.path, export)


def single_file(out: Path | None, chosen: Format, suffix: str | None) -> Path | None:
    """Return `out` if it is the file to write; None if it is a folder for files, or not given.

    Args:
        suffix: that the user asked for.

    Raises:
        InputError: `out` has another suffix.
    """
    if out is None or out.is_dir() or not (out.suffix or out.exists()):
        return None
    if out.suffix[1:] in ((suffix,) if suffix else chosen.suffixes):
        return out
    expected = " or ".join(f".{one}" for one in ((suffix,) if suffix else chosen.suffixes))
    raise InputError(f"--out {out}: a file of {chosen.name} ends in {expected}; or give an existing folder")


def check_url(url: str, chosen: Format) -> None:
    """Raise `InputError` unless a URL is one of the web, and the format needs one."""
    if not chosen.url:
        raise InputError(f"--url {url}: the files of {chosen.name} hold no addresses; leave it out")
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise InputError(f"--url {url}: must be an address such as https://example.org/films/")


def write(movies: Sequence[Movie], chosen: Format, path: Path, url: str | None = None) -> str:
    """Write a file about `movies` and return a line of summary."""
    from facerec.folder.layout import ensure_dir
    from facerec.support.atomic import atomic_write

    ensure_dir(path.parent)
    with atomic_write(path) as file:
        for part in chosen.export(movies, path.suffix[1:], url):
            file.write(part)
    if chosen.url and url is None:
        logging.warning(
            "%s: its addresses begin with https://example.org/; give the address under which you publish it: "
            "--url",
            path,
        )
    people, shared = set(), 0
    for movie in movies:
        table = movie.people[["person", "actor_id", "shared"]]
        for person, actor, several in table.itertuples(index=False):
            shared += bool(several)
            if not several:  # an actor is one person in all movies
                people.add(actor if isinstance(actor, str) else (movie.movie_id, person))
    more = f" and {counted(shared, 'entry', 'entries')} of several people" if shared else ""
    where = f" in {len(movies)} movies" if len(movies) > 1 else ""
    return f"{counted(len(people), 'person', 'people')}{more}{where}, written to {path}"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
