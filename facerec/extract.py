"""Stage 1: detect, crop and embed the faces of one or several shards of a film.

Reads a film and writes its shards to <out>/<movie_id>-data. The first shard task of a film writes
the plan, with which all others must agree. A shard that is done is not extracted again.
SIGTERM and SIGUSR2 stop it between two batches with exit status 75: run the same command again.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
import logging
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import PlanError
from facerec.folder.command import (
    add_actor_db_argument,
    add_dry_run_argument,
    add_model_arguments,
    print_dry_run,
)
from facerec.settings import AUTO, ExtractSettings, smallest_box
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    from facerec.folder.layout import MovieFolder
    from facerec.folder.plan import Plan
    from facerec.models.base import Detector, Embedder


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this stage's command line."""
    command_line = parser(__doc__)
    s = ExtractSettings
    command_line.add_argument("film", type=Path, help="film, named <movie_id>-Title.ext")
    command_line.add_argument(
        "--shard", default="0", help="shards to extract: numbers and ranges, as in 0-31,40"
    )
    command_line.add_argument(
        "--n", type=int, default=1, metavar="N", help="number of shards that the film is divided into"
    )
    command_line.add_argument(
        "--out",
        type=Path,
        default=Path("data"),
        metavar="DIR",
        help="directory in which <movie_id>-data is created",
    )
    add_model_arguments(command_line)
    command_line.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:i")
    command_line.add_argument(
        "--precision",
        choices=(AUTO, "float32", "float16", "bfloat16"),
        default=AUTO,
        help="number format of retinaface and facenet: float16 for GPUs, bfloat16 also for some CPUs; auto "
        "is that of the film's plan, and for a new plan float32, or float16 on a GPU if measure_precision.py "
        "has found the same results",
    )
    command_line.add_argument(
        "--batch-size",
        type=int,
        default=None,
        metavar="FRAMES",
        help="frames per call of the detector (default: chosen for the model and device)",
    )
    command_line.add_argument(
        "--cuda-graphs",
        action="store_true",
        help="on a GPU repeat the work of a batch as a recorded CUDA graph, which saves CPU time; the "
        "results are the same",
    )
    command_line.add_argument(
        "--save-every",
        type=int,
        default=s.save_every,
        metavar="FRAMES",
        help="save and embed the faces of every FRAMES-th frame",
    )
    command_line.add_argument(
        "--detect-every",
        type=int,
        default=s.detect_every,
        metavar="FRAMES",
        help="detect faces in every FRAMES-th frame and interpolate between them; must divide --save-every",
    )
    command_line.add_argument(
        "--min-face-size",
        "--min-face",
        default=AUTO,
        metavar="SIZE",
        help="minimum of the shorter side of a face's box, in display pixels (20) or as a share of the "
        "frame's height (2%%); auto: 20 pixels in films of up to 1080 lines and the same share of larger "
        "ones, which then cost the same. Smaller faces are not saved, and frames are scaled to find faces "
        "from this size on. Boxes down to half of it (at least 8 pixels) are followed at no cost, so that a "
        "trajectory begins before its face is large enough",
    )
    command_line.add_argument(
        "--face-threshold",
        type=float,
        default=None,
        metavar="SCORE",
        help="minimum detection score, 0 to 1 (default: chosen for the detector)",
    )
    add_actor_db_argument(
        command_line,
        "actor database; its aspect_ratios.csv, if there is one, overrides the film's display size",
    )
    command_line.add_argument(
        "--tiles",
        action="store_true",
        help="also search overlapping tiles of frames that are larger than the detector's input, to find "
        "small faces in 1080p and 4K; for scrfd files of a fixed input size",
    )
    command_line.add_argument(
        "--no-images", action="store_true", help="save no thumbnails; annotators will see none"
    )
    command_line.add_argument(
        "--fresh",
        action="store_true",
        help="if the folder holds shards of another plan, discard them and start again",
    )
    command_line.add_argument(
        "--profile", action="store_true", help="log how many seconds each step was busy"
    )
    add_dry_run_argument(command_line)
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)

    from facerec.extraction.arguments import check_arguments, options_of, settings_of

    check_arguments(args)

    from facerec.extraction.planning import check_run, ensure_plan
    from facerec.folder.films import check_film_exists
    from facerec.folder.layout import MovieFolder
    from facerec.folder.names import existing_path
    from facerec.folder.plan import format_ranges, parse_ranges
    from facerec.folder.shards import done_markers
    from facerec.models import check_tiles
    from facerec.models.packs import choose_models

    choose_models(args)
    if args.tiles:
        check_tiles(args.detector)
    args.film = existing_path(args.film)
    check_film_exists(args.film)
    folder = MovieFolder.of_film(args.out, args.film)
    shards = parse_ranges(args.shard, args.n)
    given = argparse.Namespace(**vars(args))
    if args.dry_run:
        from facerec.models import check_device_name

        check_device_name(args.device, args.detector, args.embedder)
        _choose(args, given, folder)
        check_run(folder, args.film, args.n, settings_of(args), fresh=args.fresh)
        return print_dry_run()
    _require_gpu(args)
    _choose(args, given, folder)
    models = cache(partial(_load_models, args))  # once, and only if there is a shard to extract

    def agree() -> Plan:
        return ensure_plan(
            folder,
            args.film,
            args.n,
            settings_of(args),
            options=options_of(args),
            fresh=args.fresh,
            display_aspect=_display_aspect(args),
            prepare=models,
        )

    try:
        plan = agree()
    except PlanError:
        if not _choose(args, given, folder):
            raise
        models.cache_clear()  # another task has made the plan meanwhile, with another precision
        plan = agree()
    _warn_of_wrong_row(args, plan)
    done = done_markers(folder, plan, shards)
    if done:
        print(f"movie {folder.movie_id}: shards {format_ranges(done)} of {plan.n} are done already")  # noqa: T201
    todo = [shard for shard in shards if shard not in done]
    if todo:
        _extract(args, folder, plan, todo, models)
    return 0


def _require_gpu(args: argparse.Namespace) -> None:
    """Raise `ModelError` if a GPU was asked for and is not here, before the film is opened."""
    from facerec.models import check_device
    from facerec.models.device import gpu_allocated

    if args.device != "cpu" and (args.device != "auto" or gpu_allocated()):
        check_device(args.device, args.detector, args.embedder)


def _choose(args: argparse.Namespace, given: argparse.Namespace, folder: MovieFolder) -> bool:
    """Decide the options that follow from the film, its plan and the device; return whether one changed."""
    from facerec.extraction.choices import choose

    before = args.precision, args.min_face_size
    chosen = choose(
        folder,
        args.film,
        models=(args.detector, args.embedder),
        device=None if args.dry_run else args.device,
        precision=given.precision,
        min_face_size=given.min_face_size,
        display_aspect=_display_aspect(args),
    )
    args.precision, args.min_face_size = chosen.precision, chosen.min_face_size
    return before != (args.precision, args.min_face_size)


def _display_aspect(args: argparse.Namespace) -> Fraction | None:
    """Return the display aspect ratio that the actor database has for the film; None if it has none."""
    from facerec.actors.aspect_ratios import read_aspect_ratio
    from facerec.actors.database import ActorDatabase

    table = ActorDatabase(args.actor_db).aspect_ratios
    return read_aspect_ratio(table, args.film.name) if table.exists() else None


def _warn_of_wrong_row(args: argparse.Namespace, plan: Plan) -> None:
    """Warn if the actor database has no row of the film, or one with another display size than the boxes."""
    from facerec.actors.aspect_ratios import find_size_error
    from facerec.actors.database import ActorDatabase

    table = ActorDatabase(args.actor_db).aspect_ratios
    error = (
        find_size_error(table, plan.movie_id, args.film.name, plan.display_size) if table.exists() else None
    )
    if error is not None:
        logging.warning("%s", error)


def _load_models(args: argparse.Namespace) -> tuple[Detector, Embedder]:
    from facerec.models import check_device, load_detector, load_embedder
    from facerec.models.device import limit_threads

    check_device(args.device, args.detector, args.embedder)
    detector = load_detector(
        args.detector,
        device=args.device,
        batch_size=args.batch_size,
        precision=args.precision,
        min_face_size=args.min_face_size,
        min_box_size=smallest_box(args.min_face_size),
        face_threshold=args.face_threshold,
        tiles=args.tiles,
        cuda_graphs=args.cuda_graphs,
    )
    embedder = load_embedder(
        args.embedder, device=args.device, precision=args.precision, cuda_graphs=args.cuda_graphs
    )
    limit_threads()
    return detector, embedder


def _extract(
    args: argparse.Namespace,
    folder: MovieFolder,
    plan: Plan,
    shards: Sequence[int],
    models: Callable[[], tuple[Detector, Embedder]],
) -> None:
    """Load the models and extract `shards`."""
    from facerec.extraction.planned_film import planned_film
    from facerec.extraction.shard import Extractor
    from facerec.extraction.task import extract_shards

    extractor = Extractor(
        *models(),
        save_every=args.save_every,
        min_face_size=args.min_face_size,
        min_box_size=smallest_box(args.min_face_size),
        save_thumbnails=not args.no_images,
        detect_every=args.detect_every,
    )
    film = planned_film(plan, args.film)
    extract_shards(extractor, film, folder, plan, shards, log_profile=args.profile)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
