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


def run(script: Path | str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-u", script, "--help"], cwd=cwd, capture_output=True, text=True)


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


def test_packages_of_others_are_not_hidden_by_ours(tmp_path: Path) -> None:
    """`import video` in a script must not find facerec/video, or import itself as a module."""
    probe = tmp_path / "facerec" / "probe.py"
    probe.parent.mkdir()
    probe.parent.joinpath("video.py").touch()
    for name in ("_script.py", "__init__.py"):
        probe.parent.joinpath(name).write_bytes((ROOT / "facerec" / name).read_bytes())
    probe.write_text(
        "if not __package__:\n    import _script\n"
        "import importlib.util, facerec\n"
        "assert facerec.__file__ and importlib.util.find_spec('video') is None\n"
    )
    shown = run(probe, tmp_path)
    assert shown.returncode == 0, shown.stderr
