"""The scripts of the test cluster: they say why a machine cannot run it, and stop only its processes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from slurm.options import ROOT

LAB = ROOT / "slurm" / "lab"


def test_a_folder_that_slurm_cannot_use_is_refused(tmp_path: Path) -> None:
    """Without root or process namespaces, the script refuses earlier, for that reason."""
    folder = tmp_path / "with a space"
    done = subprocess.run([str(LAB / "up.sh"), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("no test SLURM cluster here: ")


def test_stopping_a_cluster_that_does_not_run_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run([str(LAB / "down.sh"), str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"no SLURM in {tmp_path}\n" and tmp_path.is_dir()


def test_a_reused_process_id_is_not_killed(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        pids = tmp_path / "pid"
        pids.mkdir()
        for name in ("slurmctld", "slurmdbd", "mariadbd", "munged", "n1"):
            (pids / f"{name}.pid").write_text(f"{other.pid}\n")
        subprocess.run([str(LAB / "down.sh"), str(tmp_path)], check=True, capture_output=True)
        assert other.poll() is None and not tmp_path.exists()
    finally:
        other.kill()
        other.wait()
