"""Measure merge, cluster and classify on the artificial shards of a feature film.

    python bench/feature_film.py [--frames 172800] [--shards 256] [--people 60] [--poor 0] [--work DIR]

Makes a movie folder as `extract.py` leaves it (faces that drift through shots, an embedding near that of its
person for every saved face) and an actor database with a third of the people, and runs the three stages as
users do. Prints JSON: seconds by the clock and of CPU and peak resident MiB of each stage and of all. With
--poor also the annotators' pages: the figures of evaluate.py with each choice of cluster.py --poor.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import orjson
from numpy.typing import NDArray

from bench.measure import ROOT, Cost, cost_of_program
from facerec.actors.database import ActorDatabase
from facerec.annotations.truth import BOX_COLUMNS, evaluate_folder
from facerec.folder.documents import scene_changes_bytes
from facerec.folder.face_archive import new_face_archive
from facerec.folder.frame_records import FaceRecord, FrameRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.miniature_archive import new_miniature_archive
from facerec.folder.plan import Plan, pack_times, write_plan
from facerec.folder.records import SavedFace, to_line
from facerec.folder.shards import marker_bytes
from facerec.folder.thumbnails import THUMBNAIL_SIDE, thumbnail_bytes
from facerec.geometry import MINIATURE_BYTES
from facerec.settings import POOR
from facerec.stages import PIPELINE
from facerec.tracking.tracker import track
from facerec.tracking.trajectories import to_trajectories

MOVIE, WIDTH, HEIGHT, DIMENSION, SAVE_EVERY = 77, 1920, 1080, 512, 5
EMBEDDER = {"kind": "facenet", "weights": "made-up", "sha256": "0" * 64, "licence": "none"}
SHARP, BLURRED = 80.0, 0.4  # variance of the Laplacian; blurred faces are too poor to compare
SPREAD = 0.35  # distance of an embedding from that of its person (length 1)

Faces = list[list[tuple[tuple[int, ...], int, float]]]  # by frame: box, person, sharpness


def shots(frames: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Draw shots of about two seconds."""
    cuts = [0]
    while cuts[-1] < frames:
        cuts.append(cuts[-1] + int(rng.integers(20, 90)))
    return [(a, min(b, frames)) for a, b in pairwise(cuts)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=172_800, help="frames of the film")
    parser.add_argument("--shards", type=int, default=256, help="number of shards")
    parser.add_argument("--people", type=int, default=60, help="people in the film")
    parser.add_argument("--poor", type=float, default=0.0, metavar="SHARE",
                        help="share of the trajectories that are too blurred to compare")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="seed of the random numbers")
    parser.add_argument("--work", type=Path, help="make the folders here and keep them")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        folder, database = make(work, args.frames, args.shards, args.people, args.poor, args.seed)
        costs = {stage.name: timed(stage.name, folder, database) for stage in PIPELINE.recorded}
        made = {
            "saved_faces": sum(1 for _ in folder.features.open("rb")),
            "trajectories": sum(1 for _ in folder.trajectories.open("rb")),
        }
        pages = {poor: page_figures(folder, database, poor) for poor in POOR} if args.poor else {}
    costs["all"] = Cost(
        sum(one.wall_s for one in costs.values()),
        sum(one.cpu_s for one in costs.values()),
        max(one.peak_mib for one in costs.values()),
    )
    table = {stage: one.rounded() for stage, one in costs.items()}
    size = {"frames": args.frames, "shards": args.shards, **made}
    sys.stdout.write(json.dumps({**size, "stages": table, "pages": pages}, indent=1) + "\n")
    return 0


def timed(stage: str, folder: MovieFolder, database: Path) -> Cost:
    """Measure a stage, run as users do."""
    extra = ["--actor-db", str(database)] if stage == "classify_knn" else []
    command = [sys.executable, str(ROOT / "facerec" / f"{stage}.py"), "--path", str(folder.path), *extra]
    return cost_of_program(command)


def page_figures(folder: MovieFolder, database: Path, poor: str) -> dict[str, object]:
    """Cluster and name with `cluster.py --poor`, and score the pages."""
    for stage, extra in (("cluster", ["--poor", poor]), ("classify_knn", ["--actor-db", str(database)])):
        program = [sys.executable, str(ROOT / "facerec" / f"{stage}.py")]
        cost_of_program([*program, "--path", str(folder.path), "--overwrite", *extra])
    made = orjson.loads(evaluate_folder(folder, _truth(folder), database, 1))
    return {key: made[key] for key in ("clusters", "poor_pages", "on_poor_pages", "purity", "clicks")}


def _truth(folder: MovieFolder) -> Path:
    """Return the table of true boxes that `make` wrote."""
    return folder.path.with_name("truth.csv")


def make(work: Path, frames: int, n: int, people: int, poor: float, seed: int) -> tuple[MovieFolder, Path]:
    """Make a movie folder with `n` finished shards, an actor database and a table of true boxes.

    Args:
        poor: share of the faces followed through a shot that are blurred.
    """
    rng = np.random.default_rng(seed)
    folder = MovieFolder(work / f"{MOVIE}-data")
    folder.create()
    centres = rng.normal(size=(people, DIMENSION)).astype(np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    faces: Faces = [[] for _ in range(frames)]
    blur = np.random.default_rng(seed + 1)  # does not change the other numbers
    cuts = []
    for beg, end in shots(frames, rng):
        cuts.append(beg)
        who = rng.choice(people, size=min(people, int(rng.choice([1, 2, 2, 3, 3, 4]))), replace=False)
        for place, person in enumerate(who):
            size, x, y = int(rng.integers(60, 300)), 150 + 430 * place, int(rng.integers(100, 600))
            drift = rng.normal(0, 0.5, 2)
            sharpness = BLURRED if blur.random() < poor else SHARP
            for frame in range(beg + int(rng.integers(0, 8)), end - int(rng.integers(0, 8))):
                if rng.random() < 0.05:
                    continue
                dx, dy = drift * (frame - beg) + rng.normal(0, 1.5, 2)
                x1, y1 = int(np.clip(x + dx, 0, WIDTH - size)), int(np.clip(y + dy, 0, HEIGHT - size))
                faces[frame].append(((x1, y1, x1 + size, y1 + size), int(person), sharpness))
    plan = Plan(
        movie_id=MOVIE,
        film={"name": f"{MOVIE}-made-up.mp4", "bytes": 0, "probe": "", "sha256": ""},
        video={
            "display_size": [WIDTH, HEIGHT],
            "frame_rate": "24",
            "time_base": "1/24",
            "times": pack_times(np.arange(frames)),
        },
        frame_count=frames,
        n=n,
        settings={"save_every": SAVE_EVERY, "images": True},
        models={"detector": {"kind": "made-up"}, "embedder": EMBEDDER},
        notes=(),
    )
    write_plan(folder, plan, Path("made-up.mp4"), [])
    side = THUMBNAIL_SIDE
    jpeg = thumbnail_bytes(np.full((side, side, 3), 127, np.uint8), (0, 0, side, side))
    for shard in range(n):
        _write_shard(folder, plan, shard, faces, set(cuts), centres, jpeg, rng)
    with _truth(folder).open("w") as table:
        table.write(",".join(BOX_COLUMNS) + "\n")
        for frame, here in enumerate(faces):
            for (x1, y1, x2, y2), person, _ in here:
                table.write(f"{frame},{person},{x1},{y1},{x2 - x1},{y2 - y1},person {person}\n")
    return folder, _database(work / "actor_db", centres[::3], rng)


def _write_shard(
    folder: MovieFolder,
    plan: Plan,
    shard: int,
    faces: Faces,
    cuts: set[int],
    centres: NDArray[np.float32],
    jpeg: bytes,
    rng: np.random.Generator,
) -> None:
    beg, end = plan.range_of(shard)
    files = folder.shard(beg, end)
    here = [(frame, box) for frame in range(beg, end) for box, *_ in sorted(faces[frame])]
    with (
        files.frame_records.open("wb") as evidence,
        files.features.open("wb") as features,
        new_face_archive(files.faces) as add_picture,
        new_miniature_archive(files.miniatures) as add_miniature,
    ):
        shot = sum(0 < cut < beg for cut in cuts)
        stills = np.random.default_rng(0).integers(20, 236, (7, MINIATURE_BYTES), np.uint8)
        for frame in range(beg, end):
            save = frame % SAVE_EVERY == 0
            seen = tuple(
                FaceRecord(box, 0.9, sharpness if save else None)  # type: ignore[arg-type]
                for box, _, sharpness in sorted(faces[frame])
            )
            evidence.write(to_line(FrameRecord(frame, seen)))
            shot += frame > 0 and frame in cuts
            grainy = stills[shot % len(stills)].copy()
            grainy[:200] += rng.integers(0, 3, 200, np.uint8)
            add_miniature(grainy)
            for box, person, _ in sorted(faces[frame]) if save else ():
                vector = centres[person] + rng.normal(0, SPREAD / DIMENSION**0.5, DIMENSION).astype(
                    np.float32
                )
                vector /= np.linalg.norm(vector)
                feature = SavedFace(MOVIE, frame, box, keypoints(box), vector, WIDTH, HEIGHT)  # type: ignore[arg-type]
                features.write(to_line(feature))
                add_picture(feature.tag, jpeg)
    own = sorted(cut for cut in cuts if beg < cut < end)
    boxes = np.array([box for _, box in here], np.int64).reshape(-1, 4)
    tracks = track([frame for frame, _ in here], boxes, own)
    with files.trajectories.open("wb") as file:
        file.writelines(to_line(one) for one in to_trajectories(tracks, MOVIE, WIDTH, HEIGHT))
    files.scene_changes.write_bytes(scene_changes_bytes(MOVIE, own))
    report = {"frames": end - beg, "skipped": [], "dimension": DIMENSION, "same_person": 1.1}
    files.marker.write_bytes(marker_bytes(folder, plan, beg, end, folder.path, report))


def keypoints(box: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the five keypoints (5, 2) of a frontal face in `box`."""
    x1, y1, x2, y2 = box
    where = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)], np.float32)
    return (where * (x2 - x1, y2 - y1) + (x1, y1)).astype(np.float32)


def _database(path: Path, centres: NDArray[np.float32], rng: np.random.Generator) -> Path:
    """Write three pictures of each person as `prepare_actors.py` does, without the image files."""
    database = ActorDatabase(path)
    path.mkdir()
    names = [(f"nm{a}", f"{a}-{i}.jpg", centre) for a, centre in enumerate(centres) for i in range(3)]
    rows = (f"{MOVIE},Made up,2000,nm{a},Actor {a},Role {a},1970,Nowhere\n" for a in range(len(centres)))
    actors = "".join(rows)
    database.actors.write_text("movie_id,movie_name,movie_year,id,name,role,birthday,birthplace\n" + actors)
    images = "".join(f"{actor},{MOVIE},{file},1\n" for actor, file, _ in names)
    database.images.write_text("actor_id,movie_id,filename,n_detections\n" + images)
    database.embeddings.write_bytes(b"".join(_lines(names, rng)))
    meta = {"embedder": {**EMBEDDER, "dimension": DIMENSION}, "detector": {}}
    database.embeddings_meta.write_bytes(orjson.dumps(meta))
    return path


def _lines(names: list[tuple[str, str, NDArray[np.float32]]], rng: np.random.Generator) -> Iterator[bytes]:
    for _, file, centre in names:
        vector = centre + rng.normal(0, SPREAD / DIMENSION**0.5, DIMENSION)
        vector /= np.linalg.norm(vector)
        yield orjson.dumps({"image": file, "n": 1, "faces": [{"vector": vector.tolist()}]}) + b"\n"


if __name__ == "__main__":
    raise SystemExit(main())
