"""How this program is installed: as a checkout of its repository, or as a package."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]  # the folder `facerec` with the commands


def repository_root() -> Path | None:
    """Return the root of the checkout that the program runs from; None for an installed package."""
    return PACKAGE.parent if (PACKAGE.parent / "pyproject.toml").is_file() else None


def default_folder() -> Path:
    """Return the folder that default paths start from: the repository's root, else the working directory.

    Never the folder of installed packages, where users should not write.
    """
    return repository_root() or Path.cwd()


def console_script() -> Path | None:
    """Return the `facerec` command that was installed with this package; None if there is none."""
    script = Path(sys.executable).parent / "facerec"
    is_ours = Path(sysconfig.get_path("purelib")).resolve() == PACKAGE.parent
    return script if is_ours and script.is_file() else None
