"""Measure the launcher on a collection of finished movies: `status` and `movie`, with and without SLURM.

    python bench/collection.py [--movies 1000] [--shards 256] [--work DIR]

Makes folders with the plan, the manifest, small results, and the records of a run in which every stage was
done; there are no shards, because finished movies are decided without them. SLURM's commands are scripts that
answer at once and count the questions. Prints a JSON object per command: seconds, CPU seconds,
questions to SLURM, lines.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import orjson

from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of
from facerec.folder.plan import Plan
from facerec.stages import PIPELINE
from slurm.records import RunFolder
from slurm.submission import Submission, TaskRecord

ROOT = Path(__file__).resolve().parent.parent
_ARRAY_SIZE = 'echo "MaxArraySize = 1001"; echo "MaxJobCount = 10000"'
_COMMANDS = {"sbatch": "exit 1", "squeue": "", "scontrol": _ARRAY_SIZE}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else "",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--movies", type=int, default=1000, help="number of movies")
    parser.add_argument("--shards", type=int, default=256, help="shards of each movie")
    parser.add_argument("--work", type=Path, help="folder to work in; default: a temporary one")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        for movie_id in range(1, args.movies + 1):
            make_finished_movie(work / "films", work / "out", movie_id, args.shards)
        for command in (["status"], ["status", "--json"], ["status", "--failed"], ["movie"]):
            sys.stdout.write(json.dumps(measure(work, [*command, "--movies", "all"])) + "\n")
    return 0


def make_finished_movie(films: Path, out: Path, movie_id: int, n: int) -> MovieFolder:
    """Make a film of a few bytes and its finished folder, with the records of its run."""
    films.mkdir(parents=True, exist_ok=True)
    film = films / f"{movie_id}-Film.mp4"
    film.write_bytes(b"film")
    folder = MovieFolder(out / f"{movie_id}-data")
    folder.path.mkdir(parents=True)
    stamp = film.stat()
    identity = {"name": film.name, "bytes": stamp.st_size, "mtime_ns": stamp.st_mtime_ns}
    plan = Plan(movie_id, identity, {"times": [[1, 172_800]]}, 172_800, n, {}, {}, ())
    command = {"film": str(film), "options": []}
    record = {"run": plan.to_json(), "command": command, "fingerprint": plan.fingerprint}
    folder.plan.write_bytes(orjson.dumps(record))
    known = {folder.relative(folder.plan): plan.fingerprint}
    stages = {}
    for stage in PIPELINE:
        if stage.sharded:
            continue
        outputs = {}
        for path in outputs_of(folder, stage.name):
            path.write_bytes(stage.name.encode())
            outputs[folder.relative(path)] = sha256(path.read_bytes()).hexdigest()
        if not stage.optional:
            entry = {"made_at": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "program": "facerec"}
            stages[stage.name] = {
                **entry,
                "inputs": dict(known),
                "outputs": outputs,
                "settings": {},
                "report": {},
            }
            known |= outputs
    manifest = {"movie_id": movie_id, "stages": stages, "history": [], "shards": {"n": n, "missing": ""}}
    folder.manifest.write_bytes(orjson.dumps(manifest))
    _write_records(RunFolder(out, movie_id), n)
    return folder


def _write_records(run: RunFolder, n: int) -> None:
    run.create()
    for number, stage in enumerate(PIPELINE.short_names):
        packs = [str(shard) for shard in range(n)] if stage == "extract" else [""]
        job = str(run.movie_id * 10 + number)
        submission = Submission(run.new_key(stage), stage, packs, n, job=job, array=stage == "extract")
        path = run.submissions_dir / f"{submission.key}.json"
        path.write_bytes(orjson.dumps(submission.__dict__))
        if stage != "extract":
            ended = TaskRecord(host="n1", ended=time.time(), outcome="done")
            run.task_path(submission.key, 0).write_bytes(orjson.dumps(ended.__dict__))


def measure(work: Path, arguments: list[str]) -> dict[str, object]:
    """Run the launcher on the collection and return what it cost."""
    asked = work / "asked"
    asked.write_text("")
    (work / "bin").mkdir(exist_ok=True)
    for name, script in _COMMANDS.items():
        path = work / "bin" / name
        path.write_text(f'#!/bin/sh\necho {name} >>"{asked}"\n{script}\n')
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [
        sys.executable,
        "-m",
        "slurm",
        *arguments,
        "--films",
        str(work / "films"),
        "--out",
        str(work / "out"),
    ]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    seconds = round(time.monotonic() - began, 2)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    questions = asked.read_text().split()
    counted = {name: questions.count(name) for name in _COMMANDS}
    lines = done.stdout.splitlines()
    return {
        "command": " ".join(arguments),
        "status": done.returncode,
        "seconds": seconds,
        "cpu_seconds": round(cpu, 2),
        "questions": counted,
        "lines": len(lines),
        "first": [line[:100] for line in lines[:2]],
        "errors": done.stderr.splitlines()[:3],
    }


if __name__ == "__main__":
    sys.exit(main())
