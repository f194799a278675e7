"""Make a small film of two known people, run every stage on it, and show what comes out.

The film is made from photographs that come with scikit-image and matplotlib, and found faces are named by
the portraits those are. All stages run as the commands that a user would type, in four shards, with the
models that need no download: MTCNN and dlib. Fails if a person is not named, or a wrong one is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.demo.film import FILM
from facerec.errors import FacerecError, InputError
from facerec.support.cli import configure_logging, parser, run_main
from facerec.support.installation import PACKAGE, repository_root

if TYPE_CHECKING:
    from facerec.actors.database import ActorDatabase
    from facerec.demo.film import Shot
    from facerec.folder.layout import MovieFolder
    from facerec.reporting.overview import Overview

SHARDS = 4
MODELS = ("--detector", "mtcnn", "--embedder", "dlib")
MIN_FACE_SIZE = 40  # pixels; the film has none smaller, and the search is faster

_MARK = ".facerec-demo"  # in a folder that the next demo may replace
_TABLE = "{:>7}  {:<16} {:>11}  {:>12}  {:>8}  {:>17}"


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument("--out", type=Path, default=Path("demo"), metavar="DIR",
        help="folder to make; that of an earlier demo is replaced")  # fmt: skip
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    from facerec.actors.database import ActorDatabase
    from facerec.demo.film import demo_shots, write_film, write_gallery, write_tables
    from facerec.folder.layout import MovieFolder
    from facerec.reporting.overview import read_overview

    out = _fresh_folder(args.out)
    film, database = out / "films" / FILM, ActorDatabase(out / "actor_db")
    film.parent.mkdir()
    shots = demo_shots()
    write_film(film, shots)
    _say(f"made {film}: {sum(shot.frames for shot in shots)} frames in {len(shots)} shots")
    write_tables(database)
    write_gallery(database.pictures)
    folder = MovieFolder.of_film(out, film)
    _run_stages(out, film, folder, database)

    overview = read_overview(folder)
    _say("", *_table(overview, database.cast(folder.movie_id)), "")
    wrong = mistakes(overview, shots)
    if wrong:
        raise FacerecError(f"the demo went wrong: {'; '.join(wrong)} (in {folder.path})")
    _say(f"contact sheet: {folder.contact_sheet}", f"data folder: {folder.path}")
    return 0


def mistakes(overview: Overview, shots: Sequence[Shot]) -> list[str]:
    """What in the results is not as the film was made, a phrase each."""
    from facerec.demo.film import cut_frames

    cuts = cut_frames(shots)
    wrong = [] if overview.cuts == cuts else [f"cuts are at {cuts} and were found at {overview.cuts}"]
    for shot, beg in zip(shots, [0, *cuts], strict=True):
        span = range(beg, beg + shot.frames)
        named = {
            cluster.name
            for cluster in overview.clusters
            if cluster.name and any(trajectory.start in span for trajectory in cluster.trajectories)
        }
        where = f"in frames {span.start} to {span.stop - 1}"
        wrong += [f"{actor} is not named {where}" for actor in sorted(shot.cast - named)]
        wrong += [f"{actor} is named {where} and is not there" for actor in sorted(named - shot.cast)]
    return wrong


def _fresh_folder(out: Path) -> Path:
    """`out`, empty but for the mark; what another demo left there is removed, nothing else is."""
    out = out.absolute()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: a file lies where the demo's folder must be; give another --out")
    if out.is_dir() and any(out.iterdir()):
        if not (out / _MARK).is_file():
            raise InputError(f"{out}: not empty, and not the folder of an earlier demo; give another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).touch()
    return out


def _run_stages(out: Path, film: Path, folder: MovieFolder, database: ActorDatabase) -> None:
    path, actors = ("--path", str(folder.path)), ("--actor-db", str(database.folder))
    smallest = ("--min-face-size", str(MIN_FACE_SIZE))
    _run("prepare_actors", *actors, *MODELS)
    cores = len(os.sched_getaffinity(0))
    workers = min(SHARDS, cores)

    def extract(shard: int) -> None:
        shards = ("--shard", str(shard), "--n", str(SHARDS), "--out", str(out))
        _run("extract", *shards, *MODELS, *smallest, *actors, str(film), threads=max(1, cores // workers))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(extract, range(SHARDS)))
    _run("merge_shards", *path)
    _run("cluster", *path)
    _run("classify_knn", *path, *actors)
    _run("contact_sheet", *path, *actors)


def _run(stage: str, *arguments: str, threads: int | None = None) -> None:
    """Run a stage as a user would, and print the command and its summary, its log only where it fails."""
    root = repository_root()
    shown = ["facerec", stage] if root is None else ["python", "-u", f"./facerec/{stage}.py"]
    env: Mapping[str, str] = {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}
    done = subprocess.run(
        [sys.executable, "-u", str(PACKAGE / f"{stage}.py"), *arguments],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    command = shlex.join([*shown, *arguments])
    if done.returncode:
        sys.stderr.write(done.stderr)
        raise FacerecError(f"exit status {done.returncode} from: {command}")
    _say(f"$ {command}", *(f"  {line}" for line in done.stdout.splitlines()))


def _table(overview: Overview, names: Mapping[str, str]) -> list[str]:
    lines = [_TABLE.format("cluster", "name", "probability", "trajectories", "pictures", "seconds on screen")]
    for cluster in overview.clusters:
        seconds = float(cluster.frames / overview.frame_rate) if overview.frame_rate else 0.0
        lines.append(
            _TABLE.format(
                cluster.id,
                names.get(cluster.name, cluster.name) if cluster.name else "unknown",
                f"{cluster.names[0][1]:.3f}" if cluster.names else "",
                len(cluster.trajectories),
                sum(map(len, cluster.pictures)),
                f"{seconds:.1f}",
            )
        )
    return lines


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 (what a person reads)


if __name__ == "__main__":
    raise SystemExit(run_main(main))
