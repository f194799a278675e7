"""Printed commands: bash reads back exactly the words that were quoted."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from facerec import add_movie
from facerec.support.cli import run_main
from facerec.support.shell import (
    BY_LAUNCHER,
    add_movie_command,
    command_line,
    prepare_command,
    stage_command,
    typed_arguments,
)

WORDS = [
    "plain",
    "",
    "two  words",
    'it\'s $HOME `id` "quoted"',
    "Kühle Wampe*?[a]",
    "back\\slash\tand 'tab'",
    "line\nbreak\r\x1b[31m",
    os.fsdecode(b"not UTF-8: \xff\xfe"),
    "-n",
    "~",
]


def test_bash_reads_back_the_same_words() -> None:
    line = command_line("printf", r"%s\0", *WORDS)
    assert line.isprintable()
    done = subprocess.run(["bash", "-c", line], capture_output=True, check=True)
    assert done.stdout == b"".join(os.fsencode(word) + b"\0" for word in WORDS)


@pytest.mark.parametrize("inside", [True, False], ids=["in the checkout", "elsewhere"])
def test_a_stage_command_runs_where_it_was_printed(
    inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.chdir(root if inside else tmp_path)
    line = stage_command("check", "--help")
    assert inside == (" ./facerec/check.py " in line)
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("usage: "), (sys.executable, done.stderr)


@pytest.mark.parametrize("by_make", [True, False])
def test_printed_options_can_be_pasted_where_the_user_types_them(
    by_make: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under make they stand between the quotes of ADD_ARGS, and make passes on what bash makes of that."""
    words = ["--id", "Grace Hopper=nm1", 'L\'Été "x" \\ $HOME', "plain"]
    monkeypatch.delenv(BY_LAUNCHER, raising=False)
    if by_make:
        monkeypatch.setenv(BY_LAUNCHER, "1")
    line = typed_arguments(*words)
    pasted = f"printf %s ADD_ARGS='{line}'" if by_make else f"printf '%s\\n' {line}"
    read = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, check=True).stdout
    assert (shlex.split(read.removeprefix("ADD_ARGS=")) if by_make else read.splitlines()) == words


def test_a_command_that_adds_a_movie_is_read_by_bash_and_the_launcher() -> None:
    words = ("--film", "films/Zoë's “Film”.mkv", "--name", "TITLE")
    *make, argument = shlex.split(add_movie_command(Path("actor_db"), 7, *words))
    assert make == ["make", "add-movie", "MOVIE=7"]
    assert shlex.split(add_movie_command(Path("my db"), 7, *words)) == [*make, "ACTOR_DB=my db", argument]
    assert shlex.split(argument.removeprefix("ADD_ARGS=")) == list(words)


def test_the_example_of_a_movie_to_add_is_not_refused_for_its_title_or_year(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cast.csv").write_text("name\nGrace Hopper\n")
    (tmp_path / "pictures").mkdir()
    argument = shlex.split(add_movie_command(Path("db"), 7))[-1].removeprefix("ADD_ARGS=")
    words = shlex.split(argument.replace("TITLE", "'A Film'").replace("YEAR", "1998"))
    assert run_main(add_movie.main, ["--movie", "7", "--actor-db", "db", *words]) == 0
    assert "7,A Film,1998,grace-hopper,Grace Hopper" in (tmp_path / "db" / "actors.csv").read_text()


def test_the_command_that_prepares_names_all_models_in_the_form_that_was_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(BY_LAUNCHER, "1")
    made = prepare_command(Path("db"), "dlib", "mtcnn")
    assert made == "make prepare ACTOR_DB=db DETECTOR=mtcnn EMBEDDER=dlib"
    monkeypatch.delenv(BY_LAUNCHER)
    assert prepare_command(Path("db"), "dlib", "mtcnn").endswith(
        "prepare_actors.py --actor-db db --detector mtcnn --embedder dlib"
    )
