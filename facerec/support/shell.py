"""Command lines for messages, quoted so that a user can paste them into bash."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]  # the folder of the commands


def stage_command(stage: str, *words: str) -> str:
    """Return the command line that runs the stage's script with the arguments `words`."""
    script = (
        f"./{_PACKAGE.name}/{stage}.py" if Path.cwd() == _PACKAGE.parent else str(_PACKAGE / f"{stage}.py")
    )
    python = "python" if shutil.which("python") == sys.executable else sys.executable
    return command_line(python, "-u", script, *words)


def command_line(*words: str) -> str:
    """Join words into one shell command line, quoting where necessary."""
    return " ".join(map(_quote, words))


def _quote(word: str) -> str:
    """Quote a word for bash.

    Unprintable characters, which a terminal would hide or act on, and bytes that are not UTF-8 become
    octal escapes in `$'…'`.
    """
    if word.isprintable():
        return shlex.quote(word)
    escaped = re.sub(r"[\\']", r"\\\g<0>", word)
    return "$'" + "".join(c if c.isprintable() else _octal_escape(c) for c in escaped) + "'"


def _octal_escape(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
