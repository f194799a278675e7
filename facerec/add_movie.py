"""Add a movie to the actor database: its cast from a list, their pictures from folders, and its film.

Adds rows to actors.csv, actor_images.csv and aspect_ratios.csv, fills empty cells of rows that are there, and
copies pictures, upright, to actor_images/. Cells that are filled, other columns and other rows stay as they
are. A second run changes nothing. --dry-run prints what would change.

A cast list is a table (CSV), IMDb's dataset files, TMDB's credits, Wikidata's JSON or EBUCore XML; it is
recognised by its content. Pictures are found by folder (pictures/Grace Hopper/*.jpg), by name (Grace Hopper
2.jpg) or by a column of the list. A film without a movie id in its name gets a link, <movie id>-Title. If it
is not certain who somebody is, nothing is written, and a message shows the option that decides.

--still proposes who is who in pictures of several people, and writes a table to edit and a contact sheet;
--confirm reads the edited table and adds the confirmed faces.

Examples:
  add_movie.py --movie 12345 --name "Cool Movie Film" --year 1998 --cast cast.csv --pictures pictures/ \\
    --film "films/Cool Movie Film (1998).mkv" --dry-run
  add_movie.py --movie 12345 --cast title.basics.tsv.gz title.principals.tsv.gz name.basics.tsv.gz \\
    --title-id tt0111161
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.folder.command import add_actor_db_argument, given_path
from facerec.support.cli import configure_logging, parser, progress, run_main
from facerec.support.shell import prepare_command, stage_command, typed_arguments
from facerec.support.text import counted

if TYPE_CHECKING:
    from facerec.actors.addition import Addition
    from facerec.actors.database import ActorDatabase
    from facerec.actors.resolution import Resolution
    from facerec.catalogues.base import CastList

REPLACEABLE = ("movie_name", "movie_year", "name", "role", "birthday", "birthplace")  # columns of actors.csv


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add = command_line.add_argument
    add("--movie", type=int, required=True, metavar="ID", help="movie id, 0 to 2147483647")
    add("--name", default="", help="title of the film (default: the list's, or that in actors.csv)")
    add("--year", default="", metavar="YYYY", help="year of the film (default: as for --name)")
    add_actor_db_argument(command_line, "the actor database; made if it does not exist")
    add("--dry-run", action="store_true", help="print what would change, and change nothing")
    cast = command_line.add_argument_group("cast").add_argument
    cast("--cast", type=given_path, nargs="+", metavar="FILE", help="cast list: a file, files that belong "
         "together (IMDb, Wikidata), or a folder with them "
         "(default: the movie's people in actors.csv)")  # fmt: skip
    cast("--title-id", default="", metavar="ID", help="id of the film in the list, "
         "for example tt0111161 or Q172241 (default: found by --name and --year)")  # fmt: skip
    cast("--id", nargs="+", action="extend", default=[], metavar="NAME=ID", help="actor id of a "
         "person of the list, by name or id there, if it is not certain whom actors.csv has")  # fmt: skip
    cast("--replace", nargs="+", action="extend", default=[], metavar="COLUMN", choices=REPLACEABLE,
         help=f"columns in which the list replaces filled cells: {', '.join(REPLACEABLE)}")  # fmt: skip
    cast("--column", nargs="+", action="extend", default=[], metavar="FIELD=HEADER",
         help="header of the column that holds a field, as in name=Mitwirkende")  # fmt: skip
    cast("--surname-first", action="store_true", help="names in the table are written 'Hopper, Grace'")
    cast("--language", default="en", metavar="CODE", help="language of names in Wikidata's entities")
    pictures = command_line.add_argument_group("pictures").add_argument
    pictures("--pictures", type=given_path, nargs="+", default=[], metavar="DIR",
             help="folders of pictures, searched with all folders in them")  # fmt: skip
    pictures("--still", type=given_path, nargs="+", default=[], metavar="FILE",
             help="pictures of several people, or folders of them: propose who is who")  # fmt: skip
    pictures(
        "--confirm",
        type=given_path,
        metavar="FILE",
        help="add the faces that are confirmed in a table of --still",
    )
    for model in ("detector", "embedder"):
        pictures(f"--{model}", metavar="NAME[:FILE]", help=f"the {model} of prepare_actors.py, for --still "
                 "and for the command that is printed (default: as there)")  # fmt: skip
    pictures("--device", default="auto", help="with --still: auto, cpu, cuda or cuda:i")
    film = command_line.add_argument_group("film").add_argument
    film("--film", type=given_path, metavar="FILE", help="the film; gets a link <movie id>-Title beside it "
         "if its name has no movie id")  # fmt: skip
    film("--films", type=given_path, metavar="DIR", help="folder for the link (default: that of the film)")
    film("--rename", action="store_true", help="rename the film, instead of a link to it")
    film("--out", type=given_path, default=Path("data"), metavar="DIR",
         help="folder of the results; a folder of this movie there must be of the same film")  # fmt: skip
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    from facerec.actors.addition import folder_for
    from facerec.actors.database import ActorDatabase
    from facerec.folder.names import parse_movie_id
    from facerec.support.locks import locked

    if args.movie < 0:
        raise InputError(f"--movie {args.movie}: a movie id is 0 or more")
    parse_movie_id(str(args.movie), Path("--movie"))
    if args.year and not (len(args.year) == 4 and args.year.isascii() and args.year.isdigit()):
        raise InputError(f"--year {args.year}: give four digits, as in 1998")
    database = ActorDatabase(args.actor_db)
    adds = args.cast or args.pictures or args.film
    if bool(adds) + bool(args.still) + bool(args.confirm) != 1:
        raise InputError("give --cast, --pictures or --film (together or alone), or --still, or --confirm")
    if args.still:
        print(f"movie {args.movie}: {_propose(database, args)}")  # noqa: T201
        return 0
    cast = _read_list(args) if args.cast else None
    if args.dry_run:
        addition, summary = _plan(database, args, cast)
        print(*addition.difference(), sep="\n")  # noqa: T201
        print(f"dry run, nothing is changed: {summary}")  # noqa: T201
        return 0
    with folder_for(database), locked(database.lock):
        addition, summary = _plan(database, args, cast)
        with progress("copies", len(addition.copies), "pictures") as advance:
            changed = addition.write(advance)
    print(f"movie {args.movie}: {summary}{_next(addition, args) if changed else '; nothing changed'}")  # noqa: T201
    return 0


def _read_list(args: argparse.Namespace) -> CastList:
    """Read the cast list and log its notes.

    Raises:
        InputError, ContractError: as `read_cast_list`.
    """
    from facerec.actors.people import name_key
    from facerec.catalogues.base import Wanted
    from facerec.catalogues.identifiers import title_id
    from facerec.catalogues.registry import read_cast_list

    columns = _pairs(args.column, "--column")
    wanted = Wanted(
        args.movie, args.name, args.year, title_id(args.title_id), args.language, columns, args.surname_first
    )
    cast = read_cast_list(args.cast, wanted, progress)
    logging.info("%s: %s, %s", ", ".join(map(str, args.cast)), cast.format, counted(len(cast.entries), "row"))
    for note in cast.notes:
        logging.info("%s", note)
    if args.name and cast.title and name_key(args.name) != name_key(cast.title):
        logging.warning("the list is of the film %r; is that %r?", cast.title, args.name)
    if args.year and cast.year and args.year != cast.year:
        logging.warning("the list gives the year %s, not %s", cast.year, args.year)
    return cast


def _plan(database: ActorDatabase, args: argparse.Namespace, cast: CastList | None) -> tuple[Addition, str]:
    """Decide what is added, log all doubts and return that with a summary.

    Args:
        cast: None to take the movie's people in the database.

    Raises:
        InputError: it is in doubt who somebody is, or as `plan_addition`.
    """
    from facerec.actors.addition import plan_addition
    from facerec.actors.film_links import check_results, display_size, plan_film
    from facerec.actors.picture_names import match_pictures
    from facerec.actors.stills import confirmed

    resolution, title, year = _people(database, args, cast)
    confirmed_faces = confirmed(args.confirm, resolution.members) if args.confirm else []
    film = None
    if args.film:
        link = plan_film(args.film, args.movie, title, args.films, rename=args.rename)
        check_results(args.out, args.movie, link.path)
        film = link, display_size(link.film)
    beside = args.cast[0].parent if args.cast else None
    matches = match_pictures(args.pictures, resolution.members, beside)
    pictures = [*matches.pictures, *confirmed_faces]
    with progress("pictures", len(pictures), "pictures") as advance:
        addition = plan_addition(
            database, args.movie, title, year, resolution.members, pictures,
            film, args.replace, advance,
        )  # fmt: skip
    for note in (*resolution.notes, *addition.notes, *matches.notes):
        logging.info("%s", note)
    for doubt in (*matches.doubts, *addition.doubts):
        logging.warning("%s", doubt)
    counts = addition.counts
    parts = [f"{counted(counts['people'], 'person', 'people')}, {counts['new people']} of them new"]
    parts += [f"{counted(counts['changed rows'], 'row')} filled"] if counts["changed rows"] else []
    if args.pictures or args.confirm or pictures:
        parts += [f"{counted(counts['pictures'], 'picture')}, {counts['new pictures']} of them new"]
    parts += [addition.film.describe()] if addition.film and not addition.film.is_done else []
    doubts = len(matches.doubts) + len(addition.doubts)
    parts += [f"{counted(doubts, 'picture')} left out because of doubts"] if doubts else []
    return addition, "; ".join(parts)


def _people(
    database: ActorDatabase, args: argparse.Namespace, cast: CastList | None
) -> tuple[Resolution, str, str]:
    """Return the people of the cast, and title and year of the film as far as they are known.

    Raises:
        InputError: it is in doubt who somebody is, or the list cannot be read.
    """
    from facerec.actors.people import known_people, members_of, title_and_year
    from facerec.actors.resolution import Resolution, resolve

    known = known_people(database)
    if cast is None:
        here = members_of(database, args.movie, known)
        if not here and (args.pictures or args.confirm):
            raise InputError(
                f"movie {args.movie} has no people in {database.actors}; give their list: --cast FILE"
            )
        title, year = title_and_year(database, args.movie)
        return Resolution(here, (), ()), args.name or title, args.year or year
    resolution = resolve(cast.entries, known, args.movie, _pairs(args.id, "--id"))
    for doubt in resolution.doubts:
        logging.warning("%s", doubt)
    if resolution.doubts:
        people = counted(len(resolution.doubts), "person of the cast is", "people of the cast are")
        same = typed_arguments("--id", *resolution.same) if resolution.same[1:] else ""
        same = same and f"; if these {len(resolution.same)} are the same people in actors.csv, add {same}"
        raise InputError(
            f"{people} in doubt, see above; nothing is written until each doubt is decided{same}"
        )
    return resolution, args.name or cast.title, args.year or cast.year


def _propose(database: ActorDatabase, args: argparse.Namespace) -> str:
    """Propose who is who in stills: write a table, the faces and a sheet; returns a summary.

    Raises:
        InputError: nothing is prepared to compare with, or with another embedder.
    """
    from facerec.actors.picture_models import load_picture_models, prepared_models
    from facerec.actors.picture_names import picture_files
    from facerec.reporting.stills_sheet import write_proposal

    detector, embedder, settings = prepared_models(database, args.detector, args.embedder)
    models = load_picture_models(detector, embedder, args.device, settings)
    stills: list[Path] = []
    for path in args.still:
        stills += [file for file, _ in picture_files(path)] if path.is_dir() else [path]
    with progress("stills", len(stills), "stills") as advance:
        proposal = write_proposal(database, args.movie, stills, models, settings, advance)
    command = stage_command(
        "add_movie",
        "--movie",
        str(args.movie),
        "--actor-db",
        str(args.actor_db),
        "--confirm",
        str(proposal.table),
    )
    found = f"{counted(proposal.faces, 'face')} in {counted(len(stills), 'still')}"
    return (
        f"{found}, {proposal.likely} with a likely name; look at {proposal.sheet}, write yes or a name into "
        f"the column confirm of {proposal.table}; then: {command}"
    )


def _pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """Parse the words KEY=VALUE of an option."""
    pairs = {}
    for word in words:
        key, equals, value = word.rpartition("=")
        if not (equals and key.strip() and value.strip()):
            raise InputError(
                f"{typed_arguments(option, word)}: give two words with = between, as in "
                f"{typed_arguments(option, 'Grace Hopper=nm1')}"
            )
        pairs[key.strip()] = value.strip()
    return pairs


def _next(addition: Addition, args: argparse.Namespace) -> str:
    """Return what to run next, to be appended to the summary."""
    from facerec.models.packs import models_to_prepare

    if not (addition.counts["new pictures"] or addition.copies):
        return ""
    detector, embedder = models_to_prepare(addition.database.read_meta())
    command = prepare_command(args.actor_db, args.embedder or embedder, args.detector or detector)
    return f"; next: {command}"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
