"""Errors that a user can act on: each message is one line that says what is wrong, where, and what to do.

`support.cli.run_main` prints the message of a `FacerecError` on standard error and exits with its
`exit_status`. A traceback therefore always means a bug in this program, never bad input.
"""

from __future__ import annotations

from pathlib import Path

EXIT_RERUN = 75  # EX_TEMPFAIL of sysexits.h: run the same command again


class FacerecError(Exception):
    """Base class; `str(error)` is the whole message."""

    exit_status = 1


class InputError(FacerecError):
    """A film, picture, table or argument is missing or unusable."""


class ModelError(FacerecError):
    """A model cannot run: unknown name, missing or wrong weights, unavailable device, too little memory."""


class NonFiniteError(FacerecError):
    """A network, or the score of a scene change, gave NaN or an infinite number."""


class PlanError(FacerecError):
    """A shard or a set of shards does not match the plan of its movie folder."""


class StaleError(FacerecError):
    """A file is out of date with its inputs, or must not be overwritten."""


class ContractError(FacerecError):
    """A file breaks a rule of its format, mostly of the movie folder's contract.

    Args:
        path: the file.
        rule: what is wrong, or the broken rule, as a clause.
        line: 1-based line of the file; None for the file as a whole.
    """

    def __init__(self, path: Path | str, rule: str, line: int | None = None) -> None:
        self.path, self.rule, self.line = Path(path), rule, line
        super().__init__(f"{path}:{line}: {rule}" if line is not None else f"{path}: {rule}")


class Interrupted(FacerecError):
    """A signal (SLURM's preemption or time limit) stopped the program; running it again continues."""

    exit_status = EXIT_RERUN
