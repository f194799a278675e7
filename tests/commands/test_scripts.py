"""A command runs as a plain script from any folder, by any name, whatever else is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMANDS = sorted(
    path.stem for path in (ROOT / "facerec").glob("*.py") if "\ndef main(" in path.read_text("utf-8")
)


def run(script: Path | str, cwd: Path, option: str = "-u") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, option, script, "--help"], cwd=cwd, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_runs_from_any_folder(command: str, tmp_path: Path) -> None:
    shown = run(ROOT / "facerec" / f"{command}.py", tmp_path)
    assert shown.returncode == 0 and shown.stdout.startswith(f"usage: {command}.py "), shown.stderr


def test_runs_from_its_own_folder_and_through_links(tmp_path: Path) -> None:
    (tmp_path / "cluster").symlink_to(ROOT / "facerec" / "cluster.py")
    (tmp_path / "again").symlink_to("cluster")
    (tmp_path / "checkout").symlink_to(ROOT)
    for script, cwd in (
        ("cluster.py", ROOT / "facerec"),
        ("./cluster", tmp_path),
        ("./again", tmp_path),
        ("./facerec/cluster.py", tmp_path / "checkout"),
    ):
        shown = run(script, cwd)
        assert shown.returncode == 0 and "--max-size" in shown.stdout, shown.stderr


@pytest.mark.parametrize("option", ["-u", "-P", "-I"])
def test_packages_of_others_are_not_hidden_by_ours(tmp_path: Path, option: str) -> None:
    """`import video` in a script must not find facerec/video, nor may a script find itself as a module.

    With `-P` (PYTHONSAFEPATH) and `-I` Python does not put the folder of a script on the import path.
    """
    script, modules = tmp_path / "facerec" / "cluster.py", tmp_path / "facerec" / "support"
    modules.mkdir(parents=True)
    (tmp_path / "facerec" / "video.py").touch()
    head, line, _ = (ROOT / "facerec" / "cluster.py").read_text().partition("\nimport argparse\n")
    probe = "import importlib.util, facerec.support\nassert importlib.util.find_spec('video') is None\n"
    assert line
    script.write_text(f"{head}\n{probe}print(facerec.support.__path__)\n")
    shown = run(script, tmp_path, option)
    assert shown.returncode == 0 and str(modules) in shown.stdout, shown.stderr
