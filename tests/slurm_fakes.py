"""Shared by the tests of the launcher: films with given behaviour, and mocked SLURM commands on the PATH."""

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

from facerec.stages import PIPELINE, Stage
from slurm import queue
from slurm.options import ROOT, RunOptions
from slurm.site_file import load_site

FAKE_STAGE = ROOT / "tests" / "slurm" / "lab" / "fake_stage.py"
MOVIE = 77
STAGES = PIPELINE.short_names


def use_fake_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the program of every stage by the fake one."""
    monkeypatch.setattr(Stage, "script", FAKE_STAGE)


def make_film(
    folder: Path, movie: int = MOVIE, name: str = "a film: für $(reboot) 'all'", **behaviour: Any
) -> Path:
    """Write a film with the given behaviour (see fake_stage.py) and a name that needs quoting."""
    folder.mkdir(exist_ok=True)
    film = folder / f"{movie}-{name}.mp4"
    film.write_text(json.dumps({"frames": 160, "seconds": 0.0, **behaviour}))
    return film


def make_options(folder: Path, *settings: str, **fields: Any) -> RunOptions:
    """Return options for the films in `folder`/films."""
    args = {stage: ("--stage", stage) for stage in STAGES}
    site = load_site(ROOT / "slurm" / "cluster.toml", ["settle=1", *settings])
    return RunOptions(folder / "films", folder / "out", folder / "actor_db", site, **{"args": args, **fields})


class MockSlurm:
    """Mocked SLURM commands, which are scripts that share a text file; tasks run in this process."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch
        queue.show_config.cache_clear()
        self.queue, self.log, self.asked = folder / "queue", folder / "log", folder / "asked"
        (folder / "jobs").mkdir(parents=True)
        self.queue.touch()
        self.log.touch()
        (folder / "max").write_text("1001")
        (folder / "next").write_text("100")
        self.install_script("srun", "exit 1")
        self.install_script(
            "scancel", f'echo "scancel $*" >>{self.log}; sed -i "/^$1[|_]/s/PENDING/CANCELLED/" {self.queue}'
        )
        self.install_script(
            "sbatch",
            f"""[ ! -e {folder}/refuse ] || {{ cat {folder}/refuse >&2; exit 1; }}
            last=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "$1")
            active=$(grep -c '|PENDING|\\||RUNNING|' {self.queue})
            limit=$(cat {folder}/limit_of_tasks 2>/dev/null || echo 1000000)
            if [ $((active + ${{last:-0}} + 1)) -gt $limit ]; then
                echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2
                echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy" >&2
                exit 1
            fi
            id=$(cat {folder}/next); echo $((id + 1)) >{folder}/next; cp "$1" {folder}/jobs/$id.sh
            key=$(sed -n 's/^#SBATCH --comment=//p' "$1")
            ids=$id; [ -z "$last" ] || ids=$(for ((i = 0; i <= last; i++)); do echo ${{id}}_$i; done)
            name=$(sed -n 's/^#SBATCH --job-name=//p' "$1")
            for i in $ids; do echo "$i|PENDING||None|$name|$UID|$key" >>{self.queue}; done
            echo "Submitted batch job $id" """,
        )
        self.install_script(
            "squeue",
            f"""echo "squeue $*" >>{self.asked}
            [ ! -e {folder}/down ] || {{ echo "squeue: error: no answer" >&2; exit 1; }}
            [ "$1" = --all ] || exit 1  # without it, hidden partitions are missing
            case "$*" in *%l) cat {folder}/limit;; *" -j "*) grep "^$6|" {self.queue} | cut -d'|' -f2;;
            *) cat {self.queue};; esac""",
        )
        self.install_script(
            "scontrol",
            f"""echo "scontrol $*" >>{self.asked}
            [ ! -e {folder}/down ] || {{ echo "scontrol: error: no answer" >&2; exit 1; }}
            case $1 in show) echo "MaxArraySize            = $(cat {folder}/max)"
                             echo "PrivateData             = none";;
            requeue) [ ! -e {folder}/no_requeue ] || {{ echo "no requeue here" >&2; exit 1; }}
                     echo "requeue $2" >>{self.log}
                     sed -i "s/^$2|[A-Z_]*/$2|PENDING/" {self.queue};; esac""",
        )
        monkeypatch.setenv("PATH", f"{folder}/bin", prepend=os.pathsep)

    def install_script(self, name: str, text: str) -> None:
        """Put a shell script on the PATH."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        queue.show_config.cache_clear()

    def script(self, job: str) -> str:
        """Return the batch script of a job."""
        return (self.folder / "jobs" / f"{job}.sh").read_text()

    def states(self) -> dict[str, str]:
        return dict(line.split("|")[:2] for line in self.queue.read_text().splitlines())

    def set(self, task: str, state: str, node: str = "n1") -> None:
        """Set the state of a task in squeue."""
        lines = [line.split("|") for line in self.queue.read_text().splitlines()]
        for line in lines:
            if line[0] == task:
                line[1:3] = [state, node]
        self.queue.write_text("".join("|".join(line) + "\n" for line in lines))

    def drop(self, task: str) -> None:
        """Remove a task from squeue."""
        lines = self.queue.read_text().splitlines(keepends=True)
        self.queue.write_text("".join(line for line in lines if not line.startswith(f"{task}|")))

    @contextmanager
    def environment_of(self, task: str) -> Iterator[None]:
        """Set the environment variables of a task; restore the signal handlers afterwards."""
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
        """Run a task as a node does; return whether it succeeded."""
        submitted = DelayedSubmission.load(stage_dir / f"{task}_submitted.pkl")
        with self.environment_of(task):
            try:
                submitted.result()
                good = True
            except SystemExit:
                good = False
        if self.states().get(task) == "RUNNING":
            self.set(task, "COMPLETED" if good else "FAILED")
        return good
