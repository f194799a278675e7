"""What a person sees of a status, on a terminal and in a pipe."""

from __future__ import annotations

import io
import re
import sys

import pytest

from slurm.report import show

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LINES = [
    "movie 77: 4 shards, 160 frames",
    "  done           2  0-1",
    "  failed         1  3",
    "  12.0 frames/s, done about 14:05",
    "  shard 3 failed on n1: out of memory [of 2 GB]",
    "      worker: done, failed and gone",
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown_on_terminal(monkeypatch: pytest.MonkeyPatch, *, clear: bool = False, no_color: str = "") -> str:
    screen = Terminal()
    with monkeypatch.context() as patch:  # not in a fixture: pytest sets sys.stdout again before the test
        patch.setattr(sys, "stdout", screen)
        patch.setenv("TERM", "xterm-256color")
        patch.setenv("NO_COLOR", no_color)
        show(LINES, clear=clear)
    return screen.getvalue()


def test_a_terminal_shows_states_in_colour_and_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    colored = shown_on_terminal(monkeypatch).splitlines()
    assert [ANSI.sub("", line) for line in colored] == LINES
    assert [bool(ANSI.search(line)) for line in colored] == [False, True, True, False, True, False]
    assert ANSI.findall(colored[1]) != ANSI.findall(colored[2])


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    colors = [code for code in ANSI.findall(shown_on_terminal(monkeypatch, no_color="1")) if "3" in code]
    assert not colors


def test_a_terminal_is_cleared_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[2J" in shown_on_terminal(monkeypatch, clear=True)
    assert "\x1b[2J" not in shown_on_terminal(monkeypatch)


def test_a_pipe_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    show(LINES, clear=True)
    assert capsys.readouterr().out.splitlines() == LINES
