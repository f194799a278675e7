"""Commands that are printed to be pasted: they work where they were printed, whatever the names."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parents[1]  # the package, where the commands lie


def stage_command(stage: str, *words: str) -> str:
    """The command line of a stage's script with the arguments `words`."""
    script = f"./{_HERE.name}/{stage}.py" if Path.cwd() == _HERE.parent else str(_HERE / f"{stage}.py")
    python = "python" if shutil.which("python") == sys.executable else sys.executable
    return command_line(python, "-u", script, *words)


def command_line(*words: str) -> str:
    """The words as one line for a shell."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """`word` in quotes where a shell needs them; what a terminal cannot show stands as bash writes it."""
    if word.isprintable():
        return shlex.quote(word)
    escaped = re.sub(r"[\\']", r"\\\g<0>", word)
    return "$'" + "".join(c if c.isprintable() else _octal(c) for c in escaped) + "'"


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))
