"""What can go wrong, as the user should read it: one line with what, where and the way out.

A stage turns every `FacerecError` into that line on standard error and the exit status below; a
traceback therefore always means a defect of this program, never bad input.
"""

from __future__ import annotations

from pathlib import Path

EXIT_RERUN = 75  # EX_TEMPFAIL of sysexits.h: nothing is wrong, run the same command again


class FacerecError(Exception):
    """A failure the user can act on; `str(error)` is the whole message."""

    exit_status = 1


class InputError(FacerecError):
    """A film, picture, table or argument that cannot be used."""


class ModelError(FacerecError):
    """Weights that are missing, damaged or not what they should be; a device that is not there."""


class PlanError(FacerecError):
    """A shard, or a set of shards, that does not fit the plan of its movie folder."""


class StaleError(FacerecError):
    """An artifact that was not made from what lies beside it now, or that must not be replaced."""


class ContractError(FacerecError):
    """A file that breaks the data folder's contract.

    Args:
        path: the file.
        rule: the rule that is broken, as a sentence.
        line: 1-based line of the file, where there is one.
    """

    def __init__(self, path: Path | str, rule: str, line: int | None = None) -> None:
        self.path, self.rule, self.line = Path(path), rule, line
        super().__init__(f"{path}:{line}: {rule}" if line is not None else f"{path}: {rule}")


class Interrupted(FacerecError):
    """Stopped by a signal (SLURM's preemption or time limit, Ctrl-C) at a clean point."""

    exit_status = EXIT_RERUN
