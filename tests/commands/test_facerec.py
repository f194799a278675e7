"""The `facerec` program: it names every command, runs the one that is asked for, and says what is wrong."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from facerec import __version__, check
from facerec.__main__ import COMMANDS, run
from facerec.support import shell


def test_help_lists_every_command_with_a_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")  # a narrow terminal wraps the lines
    assert run(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line.split(None, 1)[1] for line in lines if line.startswith("  ")}
    assert list(listed) == list(COMMANDS) and all(listed.values())


def test_no_command_is_a_usage_error_that_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    shown = capsys.readouterr()
    assert not shown.out and "merge_shards" in shown.err


@pytest.mark.parametrize(
    ("command", "hint"), [("clusters", "did you mean cluster?"), ("xyz", "valid commands: demo, ")]
)
def test_an_unknown_command_is_one_line_with_the_way_out(
    command: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([command]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"unknown command '{command}'" in line and hint in line


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"facerec {__version__}\n"


def test_a_command_gets_its_words_its_name_and_gives_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[list[str]] = []

    def main(argv: Sequence[str] | None = None) -> int:
        seen.append([*sys.argv, str(argv)])
        raise OSError(28, "No space left on device", "disk")

    monkeypatch.setattr(sys, "argv", ["python"])
    monkeypatch.setattr(check, "main", main)
    assert run(["check", "--actor-db", "a b"]) == 1
    assert seen == [["facerec check", "--actor-db", "a b", "None"]]
    assert capsys.readouterr().err.startswith("facerec check: error: disk: No space left")


@pytest.mark.parametrize("script", [True, False], ids=["with the facerec command", "without it"])
def test_an_installed_package_prints_commands_of_its_own(
    script: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "facerec"
    monkeypatch.setattr(shell, "repository_root", lambda: None)
    monkeypatch.setattr(shell, "console_script", lambda: program if script else None)
    stage = shell.stage_command("cluster", "--path", "7-data")
    launcher = shell.launcher_command("extract", "MOVIE=7", "ACTOR_DB=my db")
    own = str(program) if script else f"-u {shell.PACKAGE}"
    assert f"{own} cluster --path 7-data" in stage
    assert f"{own} slurm extract --movie 7 --actor-db 'my db'" in launcher
