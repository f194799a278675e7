"""Make a small film of two known people, run every stage on it and print the result.

The film is made from photographs that come with scikit-image and matplotlib; the same portraits are the
actor database. Every stage runs as the command that a user would type, in four shards, with the models that
need no download: MTCNN and dlib. Fails if a person is not named, or not correctly.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from facerec.errors import FacerecError
from facerec.support.cli import configure_logging, parser, run_main


def main(argv: Sequence[str] | None = None) -> int:
    command_line = parser(__doc__)
    command_line.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR",
        help="folder for film, actor database and results; an earlier demo in it is replaced")  # fmt: skip
    args = command_line.parse_args(argv)
    configure_logging(args.verbose)
    from facerec.actors.database import ActorDatabase
    from facerec.demo.film import FILM, demo_shots, write_film, write_gallery, write_tables
    from facerec.demo.result import find_mistakes, format_table
    from facerec.demo.stages import make_demo_folder, run_stages
    from facerec.folder.layout import MovieFolder
    from facerec.reporting.overview import read_overview

    out = make_demo_folder(args.out)
    film, database = out / "films" / FILM, ActorDatabase(out / "actor_db")
    film.parent.mkdir()
    shots = demo_shots()
    write_film(film, shots)
    _show(f"made {film}: {sum(shot.frames for shot in shots)} frames in {len(shots)} shots")
    write_tables(database)
    write_gallery(database.pictures)
    folder = MovieFolder.of_film(out, film)
    run_stages(out, film, folder, database, _show)

    overview = read_overview(folder)
    _show("", *format_table(overview, database.cast(folder.movie_id)), "")
    mistakes = find_mistakes(overview, shots)
    if mistakes:
        raise FacerecError(f"the demo's result is wrong: {'; '.join(mistakes)} (in {folder.path})")
    _show(
        f"contact sheet: {folder.contact_sheet}",
        f"report, for a browser: {folder.report}",
        f"data folder: {folder.path}",
    )
    return 0


def _show(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.argv[0] = "python -m facerec.demo"  # the name in usage and errors
    raise SystemExit(run_main(main))
