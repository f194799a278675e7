"""Forget an actor: remove pictures, embeddings, learnt faces and names, and prove that nothing is left.

Removes the person from the actor database and from all movie folders that are given, also from folders of
handover.py: predictions, people.json, reports, exports, contact sheets, logs and earlier versions. Then all
files of the database and the folders are searched for the id, the names, the names of the pictures and the
embeddings; the exit status is 1 if anything is found, and each finding says how to remove it. Faces in a film
stay, without a name. --dry-run only searches. For a person without a row, the command only searches again.

Annotators' files (labels.csv, CVAT) bring a name back when they are applied again. Those in the current
folder and beside the movie folders are searched and listed, and not changed.

Stop running stages of these movies and the labeling backend first, and give it its folder again afterwards:
its own database is not changed.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.folder.command import add_actor_db_argument
from facerec.support.cli import configure_logging, parser, progress, run_main
from facerec.support.shell import stage_command
from facerec.support.text import counted

if TYPE_CHECKING:
    from facerec.actors.database import ActorDatabase
    from facerec.folder.layout import MovieFolder
    from facerec.forgetting.subject import Subject
    from facerec.forgetting.traces import Trace


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    command_line.add_argument(
        "actor", metavar="ACTOR", help="id in actors.csv, or a name that only one person there has"
    )
    command_line.add_argument(
        "--name",
        nargs="+",
        default=[],
        metavar="NAME",
        help="other spellings of the name; needed for an id that actors.csv does not have any more",
    )
    command_line.add_argument(
        "--path",
        type=Path,
        nargs="*",
        default=[],
        metavar="DIR",
        help="all movie folders, <out>/<movie_id>-data, also copies for the labeling backend",
    )
    add_actor_db_argument(command_line, "the actor database")
    command_line.add_argument(
        "--dry-run", action="store_true", help="list the files that refer to the person, and change nothing"
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    from facerec.actors.database import ActorDatabase
    from facerec.folder.layout import MovieFolder
    from facerec.forgetting.database import forget_in_database
    from facerec.forgetting.label_files import label_files
    from facerec.forgetting.movie_folder import forget_in_folder, shown_files, typed_names
    from facerec.forgetting.remaking import remaking_commands
    from facerec.forgetting.subject import UnknownPersonError, find_subject
    from facerec.forgetting.traces import remedy
    from facerec.support.locks import locked

    database = ActorDatabase(args.actor_db)
    if not database.folder.is_dir():
        raise InputError(f"{database.folder}: no such folder; give the actor database: --actor-db DIR")
    folders = [MovieFolder.existing(path) for path in args.path]
    if not folders:
        logging.warning("no movie folder was given (--path): only the database is changed and searched")
    with nullcontext() if args.dry_run else locked(database.lock):
        try:
            subject = find_subject(database, args.actor, args.name)
        except UnknownPersonError as error:
            return _check_again(database, folders, args.actor, error)
        typed = {name for folder in folders for name in typed_names(folder, subject)}
        subject = replace(subject, names=tuple(sorted({*subject.names, *typed})))
        for name in sorted(subject.others_pictures):
            logging.warning(
                "%s: also has rows of other people, who lose this picture", database.picture(name)
            )
        changed: list[str] = []
        deleted: dict[Path, list[Path]] = {}
        if not args.dry_run:
            with progress("forget", len(folders), "movies") as advance:
                for folder in folders:
                    pages = list(shown_files(folder))
                    changed += forget_in_folder(folder, subject)
                    deleted[folder.path] = [path for path in pages if not path.exists()]
                    advance(1)
            changed += forget_in_database(database, subject)
    around = {Path.cwd(), *(folder.path.parent for folder in folders)}
    for path in label_files(around, subject):
        logging.warning(
            "%s: annotators' labels with the name or id; applying them brings the person back: take it "
            "out of the file, or delete the file",
            path,
        )
    traces, faces, searched = _search(database, folders, subject)
    for trace in traces:
        what = "; ".join(filter(None, (trace.what, "" if args.dry_run else remedy(trace, database))))
        logging.log(logging.INFO if args.dry_run else logging.ERROR, "%s: %s", trace.path, what)
    found = f"{len(traces)} of {counted(searched, 'file')} refer to {subject.actor_id}"
    if faces:
        had = counted(faces, "file of a movie folder has", "files of movie folders have")
        print(f"{had} faces of the film that were learnt from it: they stay, without a name")  # noqa: T201
    if args.dry_run:
        for path in (path for folder in folders for path in shown_files(folder) if path.suffix == ".png"):
            logging.info("%s: a picture with names, which cannot be searched; it would be deleted", path)
        print(f"{database.folder}: {found}; nothing was changed", flush=True)  # noqa: T201
        return 0
    where = f"changed or deleted in the database and {counted(len(folders), 'movie')}"
    print(  # noqa: T201
        f"{database.folder}: {subject.actor_id} forgotten, {counted(len(changed), 'file')} {where}; {found}",
        flush=True,
    )
    given = {folder.path: str(path) for folder, path in zip(folders, args.path, strict=True)}
    again = list(remaking_commands(deleted, args.actor_db, given))
    if again:
        print("to make the deleted pages and exports again, without the person:", *again, sep="\n  ")  # noqa: T201
    if traces:
        words = [subject.actor_id, "--name", *subject.names, "--actor-db", str(args.actor_db)]
        words += ["--path", *given.values()] if given else []
        print("when that is done, search again:", stage_command("forget_actor", *words), sep="\n  ")  # noqa: T201
    return int(bool(traces))


def _search(
    database: ActorDatabase, folders: Sequence[MovieFolder], subject: Subject
) -> tuple[list[Trace], int, int]:
    """Search the database and the movie folders.

    Returns:
        The traces, the number of files that only have faces of a film, and the number of files searched.
    """
    from facerec.forgetting.movie_folder import earlier_versions
    from facerec.forgetting.traces import find_traces

    roots = {database.folder, *(folder.path for folder in folders)}
    roots |= {path for folder in folders for path in (folder.logs, folder.index) if path.exists()}
    roots |= {version for folder in folders for version in earlier_versions(folder)}
    outermost = [root for root in sorted(roots) if not any(other in root.parents for other in roots)]
    searched = 0
    total = sum(root.is_file() + sum(len(names) for _, _, names in os.walk(root)) for root in outermost)
    with progress("search", total, "files") as advance:

        def count(files: int) -> None:
            nonlocal searched
            searched += files
            advance(files)

        found = [trace for root in outermost for trace in find_traces(root, subject, count, database.folder)]
    traces = [trace for trace in found if not trace.of_film]
    return traces, len(found) - len(traces), searched


def _check_again(
    database: ActorDatabase, folders: Sequence[MovieFolder], actor: str, error: InputError
) -> int:
    """Search for an id or a name that `actors.csv` does not have, as after the person was forgotten.

    Raises:
        InputError: `error`, if a file has the id or the name, or if `actor` is a single plain word, which is
            rather a mistake.
    """
    from facerec.forgetting.subject import find_subject

    if actor.isalpha():
        raise error
    traces, _, searched = _search(database, folders, find_subject(database, actor, [actor]))
    for trace in traces:
        logging.info("%s: %s", trace.path, trace.what)
    if traces:
        refer = counted(len(traces), "file refers", "files refer")
        raise InputError(f"{error}; {refer} to {actor!r}")
    print(  # noqa: T201
        f"{database.folder}: no row has the id or the name {actor!r}, and none of "
        f"{counted(searched, 'file')} has it: forgotten already, or never there; "
        "to search for other spellings too: --name NAME",
        flush=True,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
