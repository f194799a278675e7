"""A fake program for all stages; the film is a JSON text with the behaviour of each shard.

    {"frames": 160, "seconds": 0.1, "shards": {"5": "refuse"}, "fail": ["merge"]}

`seconds` is the time of each shard, `progress` numbers of frames that it logs. Behaviours: `refuse` (error
message, exit status 1), `same` (an error message without the shard), `once` (fails only the first time),
`kill` (killed), `task` (its task is killed too), `hog` (uses up memory), `usage` (exit status 2), `quiet`
(exit status 0 without a result). The plan and the markers are real.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from facerec.folder import plan as plans
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import outputs_of
from facerec.folder.plan import Plan, read_plan, write_plan
from facerec.folder.shards import done_markers, marker_bytes, shard_label
from facerec.support.atomic import write_bytes
from facerec.support.cli import configure_logging, progress

stopped = False


def stop(_number: int, _frame: object) -> None:
    global stopped
    stopped = True


def refuse(line: str, status: int = 1) -> NoReturn:
    sys.stderr.write(f"fake_stage.py: error: {line}\n")
    raise SystemExit(status)


def extract(args: argparse.Namespace) -> None:
    text = args.film.read_text()
    behaviour = json.loads(text)
    folder = MovieFolder.of_film(args.out, args.film)
    if args.dry_run and not folder.plan.exists():
        return
    folder.create()
    settings = {"detector": args.detector}
    wanted = Plan(folder.movie_id, {}, {}, behaviour["frames"], args.n, settings, {}, (text,))
    if read_plan(folder) is None:
        write_plan(folder, wanted, args.film, [])
    plan = read_plan(folder)
    assert plan is not None
    if plan.fingerprint != wanted.fingerprint:
        refuse(f"{folder.path} contains shards of another run")
    if args.dry_run:
        return
    for shard in plans.parse_ranges(args.shard, args.n):
        if shard in done_markers(folder, plan):
            sys.stdout.write(f"shard {shard} is done already\n")
            continue
        sys.stdout.write(f"shard {shard} begins, threads {os.environ.get('OMP_NUM_THREADS')}\n")
        sys.stdout.flush()
        for done in behaviour.get("progress", ()):  # logged as extract.py does it, but without ten seconds
            configure_logging()
            with mock.patch("facerec.support.cli.LOG_SECONDS", 0.0):
                beg, end = plan.range_of(shard)
                with progress(shard_label(plan, shard), end - beg) as advance:
                    advance(done)
        misbehave(behaviour.get("shards", {}).get(str(shard)), shard, args.film)
        begun = time.monotonic()
        while time.monotonic() - begun < behaviour["seconds"]:
            if stopped:
                raise SystemExit(75)
            time.sleep(0.02)
        finish(folder, plan, shard, max(behaviour["seconds"], 0.01))


def finish(folder: MovieFolder, plan: Plan, shard: int, seconds: float) -> None:
    beg, end = plan.range_of(shard)
    files = folder.shard(beg, end)
    for path in files.results:
        write_bytes(path, f"frames {beg}-{end}\n".encode())
    report = {"frames": end - beg, "seconds": seconds, "skipped": [], "host": "here"}
    report |= {"dimension": 8, "same_person": 1.0}
    write_bytes(files.marker, marker_bytes(folder, plan, beg, end, folder.path, report))


def misbehave(behaviour: str | None, shard: int, film: Path) -> None:
    if behaviour == "refuse":
        refuse(f"shard {shard} cannot be extracted")
    if behaviour == "same":
        refuse("the weights are missing")
    if behaviour == "usage":
        refuse("unrecognized arguments: --nonsense", 2)
    if behaviour == "quiet":
        raise SystemExit(0)
    if behaviour == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "task":
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "hog":
        kept = []
        while True:
            kept.append(bytearray(20_000_000))
            time.sleep(0.1)
    if behaviour == "once":
        witness = film.with_name(f".{film.name}-{shard}-failed")
        if not witness.exists():
            witness.touch()
            refuse(f"shard {shard} fails this once")


def stage(name: str, args: argparse.Namespace) -> None:
    if args.dry_run:
        sys.stdout.writelines(f"movie {MovieFolder(path).movie_id}: ready\n" for path in args.path)
        return
    folder = MovieFolder.existing(args.path[0])
    plan = read_plan(folder)
    assert plan is not None
    behaviour = json.loads(plan.notes[0])
    if name in behaviour.get("fail", ()):
        refuse(f"{name} cannot")
    if name in behaviour.get("kill", ()):
        os.kill(os.getpid(), signal.SIGKILL)
    missing = set(range(plan.n)) - done_markers(folder, plan).keys()
    if missing:
        refuse(f"shards {plans.format_ranges(missing)} are missing")
    sources = {
        "merge": [folder.shard(*plan.range_of(shard)).trajectories for shard in range(plan.n)],
        "cluster": [folder.trajectories],
        "classify": [folder.clusters],
        "report": [folder.predictions],
    }[name]
    for path in outputs_of(folder, name):
        write_bytes(path, b"".join(source.read_bytes() for source in sources))
    sys.stdout.write(f"{name} done\n")


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, stop)
    made = argparse.ArgumentParser()
    made.add_argument("--shard")
    made.add_argument("--n", type=int)
    made.add_argument("--out", type=Path)
    made.add_argument("--path", type=Path, nargs="+")
    made.add_argument("--dry-run", action="store_true")
    made.add_argument("--embedder")
    made.add_argument("--actor-db")
    made.add_argument("--detector", default="fake")
    made.add_argument("--device")
    made.add_argument("--stage", default="extract")
    made.add_argument("film", type=Path, nargs="?")
    args = made.parse_args()
    extract(args) if args.stage == "extract" else stage(args.stage, args)


if __name__ == "__main__":
    main()
