"""Find and embed the face in each picture of an actor database.

Reads actor_images.csv and the pictures in actor_images/. Writes actor_embeddings.jsonl, with the models
used in actor_embeddings.meta.json, and the column n_detections of actor_images.csv. Only a picture with
exactly one face is used for naming. Warns of likely mistakes: the same picture or face under two actors, or
a picture that resembles another actor more than its own.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from facerec.folder.command import add_actor_db_argument, add_model_arguments
from facerec.settings import GallerySettings
from facerec.support.cli import configure_logging, parser, progress, run_main
from facerec.support.text import counted

if TYPE_CHECKING:
    from facerec.actors.database import ActorDatabase
    from facerec.models.base import Detector, Embedder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    add, faces = command_line.add_argument, GallerySettings
    add_actor_db_argument(command_line, "the actor database")
    add_model_arguments(command_line)
    add("--device", default="auto", help="auto, cpu, cuda or cuda:i")
    add("--min-face-size", type=int, default=faces.min_face_size, metavar="PIXELS",
        help="ignore smaller faces, by the longer side of the box")  # fmt: skip
    add("--face-threshold", type=float, default=faces.face_threshold, metavar="SCORE",
        help="minimum detection score, 0 to 1 (default: chosen for the detector)")  # fmt: skip
    add("--min-share", type=float, default=faces.min_share, metavar="SHARE",
        help="ignore faces less high than this share of the picture's highest face, 0 to 1")  # fmt: skip
    add("--max-side", type=int, default=faces.max_side, metavar="PIXELS",
        help="larger pictures are shrunk to this longer side")  # fmt: skip
    add("--evaluate", action="store_true",
        help="write nothing; measure how well each picture is named by the others")  # fmt: skip
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    from facerec.actors.database import ActorDatabase
    from facerec.models.packs import choose_models

    choose_models(args)
    database = ActorDatabase(args.actor_db)
    print(_evaluate(database) if args.evaluate else _prepare(database, args))  # noqa: T201
    return 0


def _prepare(database: ActorDatabase, args: argparse.Namespace) -> str:
    """Prepare the database and log its likely mistakes; returns the summary."""
    from facerec.actors.embed import prepare
    from facerec.actors.gallery_checks import find_mistakes
    from facerec.actors.picture_models import load_picture_models
    from facerec.models import DETECTORS, card_of

    cards = card_of(args.detector, "detector"), card_of(args.embedder, "embedder")
    threshold = args.face_threshold if args.face_threshold is not None else DETECTORS[cards[0].kind].threshold
    settings = GallerySettings(args.max_side, args.min_share, args.min_face_size, threshold)

    def load() -> tuple[Detector, Embedder]:
        return load_picture_models(args.detector, args.embedder, args.device, settings)

    pictures = len({row["filename"] for _, row in database.read_images()})
    with progress("pictures", pictures, "pictures") as advance:
        prepared = prepare(database, cards, load, settings, advance)
    mistakes = list(find_mistakes(database, prepared))
    for mistake in mistakes:
        logging.warning("%s", mistake)
    found = Counter(min(n, 2) for n in prepared.faces.values())
    written = f"written: {', '.join(prepared.written)}" if prepared.written else "nothing changed"
    return (
        f"{database.folder}: {counted(len(prepared.faces), 'picture')}, {found[1]} with one face, "
        f"{found[0]} with none, {found[2]} with several; {prepared.embedded} embedded with "
        f"{args.embedder.partition(':')[0]}, "
        f"{counted(len(mistakes), 'warning')}; {written}"
    )


def _evaluate(database: ActorDatabase) -> str:
    """Evaluate the database's pictures; returns the summary."""
    from facerec.actors.leave_one_out import distinct_casts, evaluate_database
    from facerec.folder.documents import DISPLAY_THRESHOLD

    with progress("casts", len(distinct_casts(database)), "casts") as advance:
        evaluation = evaluate_database(database, advance)
    counts = evaluation.counts
    return (
        f"{database.folder}: {counted(evaluation.pictures, 'picture')} of "
        f"{counted(evaluation.actors, 'actor')} in {counted(evaluation.casts, 'cast')}, "
        f"embedded with {evaluation.embedder}; named at p > {DISPLAY_THRESHOLD:.2f}\n"
        f"picture left out: top-1 accuracy {_share(counts.first, counts.probes)}; "
        f"named right {counts.right}, wrong {counts.wrong}, not at all {counts.silent}\n"
        f"actor left out:   false-name rate {_share(counts.false_names, counts.strangers)}"
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f} ({part} of {whole})" if whole else "unknown (too few pictures)"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
