"""The throw-away cluster's scripts say why where a machine cannot have one, and stop nothing of others."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slurm.stages import ROOT

LAB = ROOT / "slurm" / "lab"


def test_a_folder_that_slurm_cannot_use_is_refused_with_the_reason(tmp_path: Path) -> None:
    """Without root, or in a container that allows no process namespace, the reason is that one."""
    folder = tmp_path / "with a space"
    done = subprocess.run([str(LAB / "up.sh"), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("no throw-away SLURM here: ")


def test_taking_down_what_is_not_up_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run([str(LAB / "down.sh"), str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"no SLURM in {tmp_path}\n" and tmp_path.is_dir()


def test_a_pid_that_is_somebody_else_s_by_now_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        pids = tmp_path / "pid"
        pids.mkdir()
        for name in ("slurmctld", "munged", "n1"):
            (pids / f"{name}.pid").write_text(f"{other.pid}\n")
        subprocess.run([str(LAB / "down.sh"), str(tmp_path)], check=True, capture_output=True)
        assert other.poll() is None and not tmp_path.exists()
    finally:
        other.kill()
        other.wait()
