"""One test SLURM cluster for all tests here, which are skipped if the machine cannot run it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurm.options import ROOT

LAB = ROOT / "slurm" / "lab"
MAX_ARRAY = 101  # small, so that 300 shards do not fit into one array


class Lab:
    """The cluster and its nodes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def node(self, action: str, name: str) -> None:
        """Run the cluster's node command: `kill` or `up`."""
        subprocess.run([str(self.folder / "bin" / "node"), action, name], check=True, timeout=60)

    def call(self, *command: str) -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout

    def until(self, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        """Wait until a condition holds; fail after `seconds`."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, (
                f"not within {seconds} s; the queue:\n{self.call('squeue', '-r', '-t', 'all')}"
            )
            time.sleep(0.5)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    settings = {"MAX_ARRAY": str(MAX_ARRAY), "NODES": "4", "CPUS": "8", "GPUS": "4"}
    with pytest.MonkeyPatch.context() as patch:
        up = subprocess.run(
            [str(LAB / "up.sh"), str(folder)],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        if up.returncode == 3:
            pytest.skip(up.stderr.strip().splitlines()[-1])
        assert up.returncode == 0, up.stderr
        patch.setenv("SLURM_CONF", str(folder / "etc" / "slurm.conf"))
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        yield Lab(folder)
        subprocess.run([str(LAB / "down.sh"), str(folder)], check=True)


@pytest.fixture
def idle_lab(lab: Lab) -> Iterator[Lab]:
    """The cluster; after the test, the queue is emptied and all nodes are started again."""
    yield lab
    lab.call("scancel", "--user", str(os.getuid()))
    lab.until(lambda: not lab.call("squeue", "-h"))
    for name in ("n1", "n2", "n3", "n4"):
        if "down" in lab.call("sinfo", "-h", "-n", name, "-o", "%t"):
            lab.node("up", name)
    lab.until(lambda: set(lab.call("sinfo", "-h", "-p", "main", "-N", "-o", "%t").split()) == {"idle"})
