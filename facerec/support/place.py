"""Where the program lies: in a checkout of its repository, or installed as a package.

One short module for what differs between the two: the folder of defaults, and how a command is called.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # the folder `facerec`, where the commands lie


def checkout() -> Path | None:
    """The root of the repository that the program runs from; None where it is installed as a package."""
    return PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None


def home() -> Path:
    """The folder from which relative defaults are meant: the repository's root, or the working directory.

    Never the folder of installed packages, which is not ours to write to.
    """
    return checkout() or Path.cwd()


def console_script() -> Path | None:
    """The `facerec` command that was installed with this package; None where there is none."""
    script = Path(sys.executable).parent / "facerec"
    ours = Path(sysconfig.get_path("purelib")).resolve() == PACKAGE.parent
    return script if ours and script.is_file() else None
