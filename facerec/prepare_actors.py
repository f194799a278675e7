"""Find and embed the one face in each picture of an actor database.

Reads actor_images.csv and the pictures in actor_images/, writes actor_embeddings.jsonl (with
actor_embeddings.meta.json, which says what made it) and the n_detections column of actor_images.csv.
A picture in which no face or several are found is not used for naming. What looks wrong in the database
is reported: pictures or faces under two actors, a picture that resembles somebody else.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

import argparse
import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.settings import ExtractSettings, GallerySettings
from facerec.support.cli import configure_logging, parser, progress, run_main

if TYPE_CHECKING:
    from facerec.actors.database import ActorDatabase
    from facerec.actors.embed import Prepared
    from facerec.models.base import Detector, Embedder


def main(argv: Sequence[str] | None = None) -> int:
    args = _arguments(argv)
    configure_logging(args.verbose)
    from facerec.actors.database import ActorDatabase

    database = ActorDatabase(args.actor_db)
    return _evaluate(database) if args.evaluate else _prepare(database, args)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    add, models, faces = made.add_argument, ExtractSettings, GallerySettings
    add("--actor-db", type=Path, default=Path("actor_db"), metavar="DIR", help="the actor database")
    add("--detector", default=models.detector, metavar="NAME[:FILE]", help="retinaface, mtcnn or yunet")
    add("--embedder", default=models.embedder, metavar="NAME[:FILE]", help="facenet, dlib or arcface")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:i")
    add("--min-face-size", type=int, default=faces.min_face_size, metavar="PIXELS",
        help="ignore smaller faces")  # fmt: skip
    add("--face-threshold", type=float, default=faces.face_threshold, metavar="SCORE",
        help="least detection score, 0 to 1; None: the detector's own")  # fmt: skip
    add("--min-share", type=float, default=faces.min_share, metavar="SHARE",
        help="least height of a face that counts, as a share of the picture's highest face")  # fmt: skip
    add("--max-side", type=int, default=faces.max_side, metavar="PIXELS",
        help="longer side to which larger pictures are shrunk")  # fmt: skip
    add("--evaluate", action="store_true",
        help="change nothing; leave each embedded picture out in turn and name it")  # fmt: skip
    return made.parse_args(argv)


def _prepare(database: ActorDatabase, args: argparse.Namespace) -> int:
    from facerec.actors.embed import prepare
    from facerec.models import DETECTORS, card_of, check_device, load_detector, load_embedder

    cards = card_of(args.detector, "detector"), card_of(args.embedder, "embedder")
    threshold = args.face_threshold if args.face_threshold is not None else DETECTORS[cards[0].kind].threshold
    settings = GallerySettings(args.max_side, args.min_share, args.min_face_size, threshold)

    def load() -> tuple[Detector, Embedder]:
        # One picture at a time; and in float32 everywhere, since vectors of an earlier run are taken on.
        given = {"device": args.device, "precision": "float32", "batch_size": 1}
        check_device(args.device, args.detector, args.embedder)
        detector = load_detector(
            args.detector,
            **given,
            min_face_size=settings.min_face_size,
            face_threshold=settings.face_threshold,
        )
        return detector, load_embedder(args.embedder, **given)

    pictures = len({row["filename"] for _, row in database.read_images()})
    with progress("pictures", pictures, "pictures") as advance:
        done = prepare(database, cards, load, settings, advance)
    warnings = list(_warnings(database, done))
    for warning in warnings:
        logging.warning("%s", warning)
    found = Counter(min(n, 2) for n in done.faces.values())
    what = f"written: {', '.join(done.written)}" if done.written else "nothing changed, nothing written"
    print(  # noqa: T201 (the summary line)
        f"{database.folder}: {len(done.faces)} pictures, {found[1]} with one face, {found[0]} with none, "
        f"{found[2]} with several; {done.fresh} embedded with {args.embedder.partition(':')[0]}, "
        f"{len(warnings)} warnings; {what}"
    )
    return 0


def _warnings(database: ActorDatabase, done: Prepared) -> Iterator[str]:
    """What looks wrong in the database, a sentence each."""
    from facerec.actors.gallery_checks import strays, twins

    names = database.cast(None)
    rows: dict[str, set[str]] = defaultdict(set)  # picture → actors
    for _, row in database.read_images():
        rows[row["filename"]].add(row["actor_id"])
    for actor in sorted({actor for actors in rows.values() for actor in actors} - names.keys()):
        yield f"actor {actor!r} has pictures but no row in {database.actors.name}: nobody is named so"
    for name, n in done.faces.items():
        if n != 1:
            yield f"{name}: {'no face' if n == 0 else f'{n} faces'} found, so the picture is not used"
        if len(rows[name]) > 1:
            yield f"{name}: listed for {_several(rows[name])}, so the picture is not used"
    copies: dict[str, list[str]] = defaultdict(list)
    for name, digest in done.sha256.items():
        copies[digest].append(name)
    for same in copies.values():
        actors = set().union(*(rows[name] for name in same))
        if len(same) > 1:
            whose = f"one picture under {_several(actors)}" if len(actors) > 1 else "one picture twice"
            yield f"{' and '.join(same)} are {whose}"
    gallery = database.gallery()
    if not len(gallery.vectors):
        yield "no picture can be used, so nobody can be named"
        return
    owners = zip(gallery.images, gallery.actor_of, strict=True)
    label = [f"{image} ({gallery.actors[actor]})" for image, actor in owners]
    for i, j in twins(gallery.vectors, gallery.actor_of, done.same_person):
        if done.sha256[gallery.images[i]] != done.sha256[gallery.images[j]]:
            yield f"{label[i]} and {label[j]} show nearly the same face under two actors"
    for stray in strays(gallery.vectors, gallery.actor_of, done.same_person):
        yield (
            f"{label[stray.picture]} may be somebody else: it lies {stray.own:.2f} from the actor's "
            f"other pictures and {stray.distance:.2f} from {label[stray.nearest]}"
        )


def _evaluate(database: ActorDatabase) -> int:
    """Name the pictures of every movie's cast by one another and print how that went."""
    import numpy as np

    from facerec.actors.gallery_checks import LeaveOneOut, leave_one_out
    from facerec.folder.documents import DISPLAY_THRESHOLD

    meta = database.read_meta()
    if meta is None or "same_person" not in meta["embedder"]:
        raise InputError(f"{database.embeddings_meta}: does not say what made them; run prepare_actors.py")
    embedder = meta["embedder"]
    gallery = database.gallery(dimension=embedder["dimension"])
    casts: dict[int, set[str]] = defaultdict(set)
    for _, movie, row in database.read_actors():
        casts[movie].add(row["id"])
    total = LeaveOneOut()
    different = sorted({tuple(sorted(cast)) for cast in casts.values()})  # the films of a series share one
    with progress("casts", len(different), "casts") as advance:
        for cast in different:
            member = np.isin(gallery.actor_of, [i for i, actor in enumerate(gallery.actors) if actor in cast])
            total += leave_one_out(gallery.vectors[member], gallery.actor_of[member], embedder["same_person"])
            advance(1)
    print(  # noqa: T201 (the summary)
        f"{database.folder}: {len(gallery.images)} pictures of {len(gallery.actors)} actors "
        f"in {len(different)} {'cast' if len(different) == 1 else 'casts'}, "
        f"embedded with {embedder['kind']}; named at p > {DISPLAY_THRESHOLD:.2f}\n"
        f"picture left out: top-1 accuracy {_share(total.first, total.probes)}; "
        f"named right {total.right}, wrong {total.wrong}, not at all {total.silent}\n"
        f"actor left out:   false-name rate {_share(total.false_names, total.strangers)}"
    )
    return 0


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f} ({part} of {whole})" if whole else "unknown (too few pictures)"


def _several(actors: set[str]) -> str:
    return " and ".join(sorted(actors))


if __name__ == "__main__":
    raise SystemExit(run_main(main))
