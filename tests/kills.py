"""Children that are killed at a chosen step of their writing, forked off a clean process.

A step is one call that changes the disk: a piece of a file written, a file made, synced, renamed,
linked or removed. Killing before every step, and in the middle of every piece, covers all that a
reader may find after a kill at any moment.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from facerec.support.cli import run_main
from tests.toy import toy_models

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "tests.kills",
        "facerec.extraction.planning",
        "facerec.extraction.shard",
        "facerec.merging.merge",
        "facerec.video.opencv_check",
        "facerec.people.clustering",
        "facerec.people.constraints",
        "facerec.people.naming",
        "facerec.people.loading",
        "facerec.actors.database",
        "facerec.checks.inspect",
        "scenedetect.detectors",
        "scipy.optimize",
        "scipy.sparse.csgraph",
    ]
)
CALLS = ("replace", "rename", "link", "unlink", "mkdir", "rmdir", "fsync")


class _Steps:
    """Counts steps; kills this process at the one that was asked for."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal, self.count = fatal, 0

    def __call__(self) -> bool:
        """Whether this step is the fatal one."""
        self.count += 1
        return self.count == self.fatal

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self._wrapped(getattr(os, name)))
        opened = io.open

        def opens(file: Any, mode: str = "r", *args: Any, **settings: Any) -> Any:
            if not set(mode) & set("wxa") or "b" not in mode or str(file).startswith("/dev/"):
                return opened(file, mode, *args, **settings)
            if self():
                die()
            return _Torn(opened(file, mode, *args, **settings), self)

        io.open = opens  # type: ignore[assignment]  # what pathlib calls

    def _wrapped(self, call: Any) -> Any:
        def step(*args: Any, **settings: Any) -> Any:
            if self():
                die()
            return call(*args, **settings)

        return step


class _Torn:
    """A file of which half a piece is on the disk when the process is killed."""

    def __init__(self, file: Any, steps: _Steps) -> None:
        self._file, self._steps = file, steps

    def write(self, data: bytes) -> int:
        if self._steps():
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            die()
        return int(self._file.write(data))

    def writelines(self, pieces: Any) -> None:
        for piece in pieces:
            self.write(piece)

    def __enter__(self) -> _Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(
    commands: Sequence[tuple[str, Sequence[str]]], fatal: int | None, told: Path | None, log: Path
) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.fsync = lambda handle: None  # a kill loses nothing that the kernel has; and tests are quick
    steps = _Steps(fatal)
    steps.install()
    status = 0
    with toy_models():
        for stage, words in commands:
            status = status or run_main(import_module(f"facerec.{stage}").main, words)
    os.fsync = lambda handle: None
    if told:
        told.write_text(str(steps.count))
    os._exit(status)


def start(
    commands: Sequence[tuple[str, Sequence[str]]],
    log: Path,
    fatal: int | None = None,
    told: Path | None = None,
) -> Any:
    """Run stages, (name, arguments) each, in a child until one fails; returns the process.

    Args:
        log: file for what they print.
        fatal: the step before which (in which, if it writes) the child is killed.
        told: file for the number of steps, once all are done.
    """
    child = _CONTEXT.Process(target=_work, args=(commands, fatal, told, log), daemon=True)
    child.start()
    return child


def run(commands: Sequence[tuple[str, Sequence[str]]], log: Path, **settings: Any) -> int:
    """As `start`, waiting for the end; returns the exit status, negative for a signal."""
    child = start(commands, log, **settings)
    child.join(120)
    assert child.exitcode is not None, "the child hangs"
    return int(child.exitcode)
