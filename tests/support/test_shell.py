"""Printed commands: bash reads back exactly the words that were quoted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facerec.support.shell import command_line, stage_command

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
