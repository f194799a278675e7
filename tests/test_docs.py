"""The documentation: its links and files exist, its commands are valid, its Python example runs."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from facerec import extract_features, features
from facerec.__main__ import COMMANDS
from facerec.features.base import Options
from tests.conftest import ROOT
from tests.folders import make_folder

READMES = sorted({*ROOT.glob("*.md"), *ROOT.glob("*/README.md")} - {ROOT / "docs" / "README.md"})
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *READMES]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub forms them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_and_headings(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_source_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b(?:facerec|slurm|bench|tests)/[a-z0-9_/]+\.py\b", text):
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_have_valid_arguments(page: Path) -> None:
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for name, line in re.findall(r"^ *python (?:-u \./|-m )facerec[./](\w+)(?:\.py)? (.*)$", text, re.M):
        words = [word for word in shlex.split(line, comments=True) if not word.startswith("$")]
        if "…" not in words:  # an ellipsis stands for the rest
            importlib.import_module(f"facerec.{name}").arguments().parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_make_commands_have_targets_and_variables_that_exist(page: Path) -> None:
    makefiles = "".join((ROOT / name).read_text() for name in ("Makefile", "slurm/slurm.mk"))
    targets = set(re.findall(r"^([a-z-]+):.*##", makefiles, re.M))
    variables = set(re.findall(r"\b[A-Z_]+\b", makefiles))
    for line in re.findall(r"^ *make (\S.*)$", page.read_text(encoding="utf-8"), re.M):
        target, *settings = shlex.split(line, comments=True)
        assert target in targets, line
        assert {setting.partition("=")[0] for setting in settings} <= variables, line


def test_architecture_lists_every_module_beside_the_packages() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    _, commands = text.split("## Commands\n")
    listed = set(re.findall(r"`(\w+)`", commands.split("\n## ")[0]))
    modules = {path.stem for path in (ROOT / "facerec").glob("*.py")} - {"__init__"}
    assert modules <= listed and set(COMMANDS) - {"slurm"} <= listed


def our_commands(page: str) -> list[list[str]]:
    """Return the arguments of the command lines of extract_features.py in a page."""
    lines = re.findall(
        r"^python -u ./facerec/extract_features.py (.*)$", (ROOT / "docs" / page).read_text(), re.M
    )
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("page", ["coming-from.md", "features.md", "feature-lists.md", "persons.md"])
def test_command_lines_of_features_are_valid(page: str) -> None:
    commands = our_commands(page)
    assert len(commands) >= (7 if page == "coming-from.md" else 1)
    for words in commands:
        args = extract_features.arguments().parse_args(words)
        specs = [features.entry_of(spec) for spec in args.features.split(",")]
        for option in fields(Options):
            given = getattr(args, option.name) not in (None, False)
            assert not given or any(option.name in spec.options for spec in specs), (words, option.name)


def test_options_in_coming_from_exist() -> None:
    text = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| ") and line.count("|") >= 3]
    ours = " ".join(row[-3] if len(row) == 5 else row[2] for row in rows)
    known = set(extract_features.arguments()._option_string_actions)
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", ours))
    assert len(named) > 12 and named <= known


def test_example_validates_a_folder_and_refuses_a_broken_line(tmp_path: Path) -> None:
    (example,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "data-folder.md").read_text(encoding="utf-8"), re.M | re.S
    )
    made = make_folder(tmp_path)
    made.path.rename(tmp_path / "12345-data")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run() -> int:
        command = [sys.executable, "-c", example]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True).returncode

    assert run() == 0
    file = tmp_path / "12345-data" / "trajectories.jsonl"
    record = json.loads(file.read_text().splitlines()[0])
    file.write_text(json.dumps({**record, "w": "wide"}) + "\n")
    assert run() != 0
