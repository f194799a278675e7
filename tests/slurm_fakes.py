"""What the launcher's tests share: films whose shards behave as told, and a mocked SLURM on the PATH."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from submitit.core.utils import DelayedSubmission

from facerec.stages import Stage
from slurm.site import STAGES, load
from slurm.stages import ROOT, Order

FAKE_STAGE = ROOT / "tests" / "slurm" / "lab" / "fake_stage.py"
MOVIE = 77


def use_fake_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every stage run the stand-in instead of the program."""
    monkeypatch.setattr(Stage, "script", FAKE_STAGE)


def make_film(
    folder: Path, movie: int = MOVIE, name: str = "a film: für $(reboot) 'all'", **orders: Any
) -> Path:
    """A film whose shards behave as `orders` say; its name is as nasty as names get."""
    folder.mkdir(exist_ok=True)
    film = folder / f"{movie}-{name}.mp4"
    film.write_text(json.dumps({"frames": 160, "seconds": 0.0, **orders}))
    return film


def make_order(folder: Path, *settings: str, **fields: Any) -> Order:
    """An order for films in `folder`/films, with fast settings."""
    args = {stage: ("--stage", stage) for stage in STAGES}
    site = load(ROOT / "slurm" / "cluster.toml", ["settle=1", *settings])
    return Order(folder / "films", folder / "out", folder / "actor_db", site, **{"args": args, **fields})


class MockSlurm:
    """sbatch, squeue, scontrol and scancel as small scripts over a text file; tasks run in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch
        self.queue, self.log = folder / "queue", folder / "log"
        (folder / "jobs").mkdir(parents=True)
        self.queue.touch()
        self.log.touch()
        (folder / "max").write_text("1001")
        (folder / "next").write_text("100")
        self.script_says("srun", "exit 1")
        self.script_says(
            "scancel", f'echo "scancel $*" >>{self.log}; sed -i "/^$1[|_]/s/PENDING/CANCELLED/" {self.queue}'
        )
        self.script_says(
            "sbatch",
            f"""[ ! -e {folder}/refuse ] || {{ cat {folder}/refuse >&2; exit 1; }}
            id=$(cat {folder}/next); echo $((id + 1)) >{folder}/next; cp "$1" {folder}/jobs/$id.sh
            last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
            key=$(sed -n 's/^#SBATCH --comment=//p' "$1")
            ids=$id; [ -z "$last" ] || ids=$(for ((i = 0; i <= last; i++)); do echo ${{id}}_$i; done)
            for i in $ids; do echo "$i|PENDING||None|$key" >>{self.queue}; done
            echo "Submitted batch job $id" """,
        )
        self.script_says(
            "squeue",
            f"""[ ! -e {folder}/down ] || {{ echo "squeue: error: no answer" >&2; exit 1; }}
            if [ "$4" = -j ]; then grep "^$5|" {self.queue} | cut -d'|' -f2; else cat {self.queue}; fi""",
        )
        self.script_says(
            "scontrol",
            f"""[ ! -e {folder}/down ] || {{ echo "scontrol: error: no answer" >&2; exit 1; }}
            case $1 in show) echo "MaxArraySize            = $(cat {folder}/max)";;
            requeue) [ ! -e {folder}/no_requeue ] || {{ echo "no requeue here" >&2; exit 1; }}
                     echo "requeue $2" >>{self.log}
                     sed -i "s/^$2|[A-Z_]*/$2|PENDING/" {self.queue};; esac""",
        )
        monkeypatch.setenv("PATH", f"{folder}/bin", prepend=os.pathsep)

    def script_says(self, name: str, text: str) -> None:
        """Put a command on the PATH that is this shell text."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def script(self, job: str) -> str:
        """The batch script of a job."""
        return (self.folder / "jobs" / f"{job}.sh").read_text()

    def states(self) -> dict[str, str]:
        return dict(line.split("|")[:2] for line in self.queue.read_text().splitlines())

    def set(self, task: str, state: str, node: str = "n1") -> None:
        """Have squeue say that a task is in a state."""
        lines = [line.split("|") for line in self.queue.read_text().splitlines()]
        for line in lines:
            if line[0] == task:
                line[1:3] = [state, node]
        self.queue.write_text("".join("|".join(line) + "\n" for line in lines))

    def drop(self, task: str) -> None:
        """Have SLURM forget a task."""
        lines = self.queue.read_text().splitlines(keepends=True)
        self.queue.write_text("".join(line for line in lines if not line.startswith(f"{task}|")))

    @contextmanager
    def inside(self, task: str) -> Iterator[None]:
        """Be the task: its environment, and its signal handlers put back afterwards."""
        job, _, index = task.partition("_")
        self.set(task, "RUNNING")
        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
        with self._patch.context() as patch:
            patch.setenv("SLURM_JOB_ID", "99999")
            patch.setenv("SLURMD_NODENAME", "n1")
            if index:
                patch.setenv("SLURM_ARRAY_JOB_ID", job)
                patch.setenv("SLURM_ARRAY_TASK_ID", index)
            else:
                patch.setenv("SLURM_JOB_ID", job)
            try:
                yield
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)

    def requeued(self) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith("requeue")]

    def run(self, task: str, stage_dir: Path) -> bool:
        """Run a task as its node would; returns whether it ended well."""
        submitted = DelayedSubmission.load(stage_dir / f"{task}_submitted.pkl")
        with self.inside(task):
            try:
                submitted.result()
                good = True
            except SystemExit:
                good = False
        if self.states().get(task) == "RUNNING":
            self.set(task, "COMPLETED" if good else "FAILED")
        return good
