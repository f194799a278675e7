"""One declared list of packages, one lock of all versions, and an environment that has just these."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from facerec.models.weights import CATALOGUE
from tests.conftest import ROOT

DIRECT = ("requirements.in", "requirements-dev.in", "requirements-no-deps.in")
LOCK = "requirements.lock"


def requirements(name: str) -> list[Requirement]:
    """The packages that a file names, a line each; another line than a comment is a fault of the file."""
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def pins(name: str) -> dict[str, str]:
    """Version by canonical package name, of the packages that this machine and Python need."""
    found: dict[str, str] = {}
    for wanted in requirements(name):
        (exactly,) = wanted.specifier
        assert exactly.operator == "==" and "*" not in exactly.version, wanted
        if wanted.marker is None or wanted.marker.evaluate():
            assert canonicalize_name(wanted.name) not in found, f"{wanted.name} twice in {name}"
            found[canonicalize_name(wanted.name)] = exactly.version
    return found


def test_conda_and_pip_install_from_the_same_list() -> None:
    conda = (ROOT / "environment.yml").read_text()
    assert "- -r requirements.in" in conda and f"- -c {LOCK}" in conda
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["dependencies"]["file"] == ["requirements.in"]
    assert not re.search(r"==\d", conda.replace("python=", ""))


@pytest.mark.parametrize("name", DIRECT)
def test_lock_has_every_direct_pin(name: str) -> None:
    direct = pins(name)
    assert direct
    assert direct.items() <= pins(LOCK).items(), "run `make lock`"


def test_lock_is_what_runs_here() -> None:
    locked = pins(LOCK)
    assert {name: version(name).partition("+")[0] for name in locked} == locked


def test_lock_names_no_address_and_no_build_of_one_machine() -> None:
    for line in (ROOT / LOCK).read_text().splitlines():
        assert not re.search(r"://|@|^\s*-|--hash|\\$", line), line
    for wanted in requirements(LOCK):
        assert "+" not in str(wanted.specifier), f"{wanted} is a build of one index only"
        if wanted.name.startswith("nvidia-"):
            elsewhere = {"sys_platform": "darwin"}
            assert wanted.marker is not None and not wanted.marker.evaluate(elsewhere), wanted


def test_packages_without_their_dependencies_are_locked_so() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    declared = {(of["name"], of["version"]): of["requires-dist"] for of in tool["uv"]["dependency-metadata"]}
    assert {pin for pin, asked_for in declared.items() if not asked_for} == {*pins(DIRECT[2]).items()}
    # the others ask for the same packages, of any version and with the OpenCV of this lock
    headless = {"opencv-python": "opencv-python-headless"}
    for (name, release), asked_for in declared.items():
        if asked_for:
            assert pins("requirements-dev.in")[name] == release
            wanted = (
                canonicalize_name(Requirement(line).name)
                for line in requires(name) or ()
                if "extra ==" not in line
            )
            assert {*map(canonicalize_name, asked_for)} == {headless.get(one, one) for one in wanted}


def imported(*folders: str) -> dict[str, Path]:
    """Distributions that the code of `folders` imports from outside, each with a file that does."""
    distributions = {"dlib": ["dlib-bin"], **packages_distributions()}  # dlib-bin has no list of its modules
    modules: dict[str, Path] = {}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0]: path for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules[node.module.partition(".")[0]] = path
    ours = {path.name for path in ROOT.iterdir() if path.is_dir()} | {"_script"}
    return {
        canonicalize_name(distributions[module][0]): path
        for module, path in modules.items()
        if module not in sys.stdlib_module_names and module not in ours
    }


def test_every_import_from_outside_is_declared() -> None:
    program = {**pins("requirements.in"), **pins("requirements-no-deps.in")}
    assert not {name: path for name, path in imported("facerec", "slurm").items() if name not in program}
    tools = {**program, **pins("requirements-dev.in")}
    assert not {name: path for name, path in imported("tests", "bench").items() if name not in tools}


def test_every_declared_package_is_used() -> None:
    """By an import, by weights that it carries, by a package that is installed without its dependencies, or
    as a tool that make runs or pytest loads."""
    weights = {canonicalize_name(of.source) for of in CATALOGUE.values() if of.package}
    without = pins("requirements-no-deps.in")
    asked_for = {
        canonicalize_name(Requirement(line).name) for name in without for line in requires(name) or ()
    }
    program = {*imported("facerec", "slurm"), *weights, *asked_for}
    assert not {**pins("requirements.in"), **without}.keys() - program
    settings, makefile = (ROOT / "pyproject.toml").read_text(), (ROOT / "Makefile").read_text()
    called = {
        "ruff": "-m ruff" in makefile,
        "mypy": "-m mypy" in makefile,
        "uv": "-m uv" in makefile,
        "import-linter": "importlinter" in makefile,
        "pytest-xdist": "--dist" in makefile,
        "pytest-cov": "[tool.coverage" in settings,
        "pytest-timeout": "pytest.mark.timeout" in (ROOT / "tests/slurm/lab/test_chain.py").read_text(),
        "setuptools": 'build-backend = "setuptools' in settings,
    }
    tools = {*imported("tests", "bench"), *asked_for, *(name for name, used in called.items() if used)}
    assert not pins("requirements-dev.in").keys() - tools


def test_two_opencvs_never_share_an_environment() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True
    ).stdout
    assert len(re.findall(r"^opencv-", listed, re.M)) == 1


@pytest.mark.parametrize(
    "stage",
    [
        *("extract", "merge_shards", "cluster", "classify_knn"),
        *("prepare_actors", "check", "evaluate", "learn_from_labels", "export"),
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
