"""One declared place for versions: the other files that install must not say their own."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version

import pytest

from tests.conftest import ROOT

PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)$")


def pins(name: str) -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return dict(match.groups() for line in lines if (match := PIN.match(line)))


def test_conda_and_pip_install_from_the_same_list() -> None:
    assert "-r requirements.txt" in (ROOT / "environment.yml").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"] == ["requirements.txt"]
    assert not re.search(r"==\d", (ROOT / "environment.yml").read_text().replace("python=", ""))


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-no-deps.txt", "requirements-dev.txt"])
def test_what_is_declared_is_what_runs_here(name: str) -> None:
    declared = pins(name)
    assert declared
    assert {package: version(package) for package in declared} == declared


def test_two_opencvs_never_share_an_environment() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    assert len(re.findall(r"^opencv-", listed, re.M)) == 1


@pytest.mark.parametrize(
    "stage",
    [
        *("extract", "merge_shards", "cluster", "classify_knn"),
        *("prepare_actors", "check", "evaluate", "learn_from_labels"),
    ],
)
@pytest.mark.parametrize("form", ["script", "module"])
def test_help_is_shown_by_script_and_module_without_loading_torch(stage: str, form: str) -> None:
    call = [f"./facerec/{stage}.py"] if form == "script" else ["-m", f"facerec.{stage}"]
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", *call, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert shown.stdout.startswith("usage:")
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in shown.stderr.splitlines()}
    assert not loaded & {"torch", "cv2", "av", "sklearn", "scipy", "pandas", "onnxruntime"}
