"""Run every stage of the demo as the command that a user would type."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from facerec.actors.database import ActorDatabase
from facerec.errors import FacerecError, InputError
from facerec.folder.layout import MovieFolder
from facerec.support.installation import PACKAGE, repository_root
from facerec.support.limits import usable_cpus

SHARDS = 4
MODELS = ("--detector", "mtcnn", "--embedder", "dlib")  # both come with packages: no download
MIN_FACE_SIZE = 40  # pixels; the film has no smaller face, and detection is faster

_MARK = ".facerec-demo"  # file in a folder that the next demo may replace


def make_demo_folder(out: Path) -> Path:
    """Make `out` an empty folder, after removing the results of an earlier demo; returns its absolute path.

    Raises:
        InputError: `out` is a file, or a folder that has other files.
    """
    out = out.absolute()
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; use another --out")
    if out.is_dir() and any(out.iterdir()):
        if not (out / _MARK).is_file():
            raise InputError(f"{out}: is not empty and not the folder of an earlier demo; use another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).touch()
    return out


def run_stages(
    out: Path, film: Path, folder: MovieFolder, database: ActorDatabase, show: Callable[..., None]
) -> None:
    """Run every stage on `film`, the shards of the extraction side by side.

    Args:
        out: folder of the movie folder.
        show: called with the lines to print for each command.

    Raises:
        FacerecError: a command failed; its log was written to standard error.
    """
    path, actors = ("--path", str(folder.path)), ("--actor-db", str(database.folder))
    min_face_size = ("--min-face-size", str(MIN_FACE_SIZE))
    show(*run_command("prepare_actors", *actors, *MODELS))
    cores = usable_cpus()
    workers = min(SHARDS, cores)

    def extract(shard: int) -> None:
        shards = ("--shard", str(shard), "--n", str(SHARDS), "--out", str(out))
        options = (*shards, *MODELS, *min_face_size, *actors, str(film))
        show(*run_command("extract", *options, threads=max(1, cores // workers)))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(extract, range(SHARDS)))
    show(*run_command("merge_shards", *path))
    show(*run_command("cluster", *path))
    show(*run_command("classify_knn", *path, *actors))
    show(*run_command("contact_sheet", *path, *actors))
    show(*run_command("report", *path, *actors))


def run_command(stage: str, *arguments: str, threads: int | None = None) -> list[str]:
    """Run a command; returns it as a user would type it, followed by the lines that it printed.

    Args:
        threads: number of OpenMP threads; None: the command's default.

    Raises:
        FacerecError: it failed; its log was written to standard error.
    """
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
    return [f"$ {command}", *(f"  {line}" for line in done.stdout.splitlines())]
