"""Child processes that kill themselves at a chosen step of their writing.

A step is one call that changes the disk: a write, or a file created, synced, renamed, linked or removed.
Killing before every step, and in the middle of every write, covers every state that a kill can leave behind.
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
        "facerec.feature_runs.file_run",
        "facerec.features.audio_stft",
        "scipy.optimize",
        "scipy.sparse.csgraph",
    ]
)
CALLS = ("replace", "rename", "link", "unlink", "mkdir", "rmdir", "fsync")


class _Steps:
    """Counts steps, and kills this process at step `kill_at`."""

    def __init__(self, kill_at: int | None) -> None:
        self.kill_at, self.count = kill_at, 0

    def __call__(self) -> bool:
        """Count a step; returns whether it is the one at which to kill."""
        self.count += 1
        return self.count == self.kill_at

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self._wrapped(getattr(os, name)))
        opened = io.open

        def opens(file: Any, mode: str = "r", *args: Any, **settings: Any) -> Any:
            if not set(mode) & set("wxa") or "b" not in mode or str(file).startswith("/dev/"):
                return opened(file, mode, *args, **settings)
            if self():
                _kill_self()
            return _HalfWrittenFile(opened(file, mode, *args, **settings), self)

        io.open = opens  # type: ignore[assignment]  # what pathlib calls

    def _wrapped(self, call: Any) -> Any:
        def step(*args: Any, **settings: Any) -> Any:
            if self():
                _kill_self()
            return call(*args, **settings)

        return step


class _HalfWrittenFile:
    """A file of which half a write is on the disk when the process is killed."""

    def __init__(self, file: Any, steps: _Steps) -> None:
        self._file, self._steps = file, steps

    def write(self, data: bytes) -> int:
        if self._steps():
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            _kill_self()
        return int(self._file.write(data))

    def writelines(self, pieces: Any) -> None:
        for piece in pieces:
            self.write(piece)

    def __enter__(self) -> _HalfWrittenFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _work(
    commands: Sequence[tuple[str, Sequence[str]]], kill_at: int | None, steps_file: Path | None, log: Path
) -> None:
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.fsync = lambda handle: None  # a kill loses nothing that was written, and tests are faster
    steps = _Steps(kill_at)
    steps.install()
    status = 0
    with toy_models():
        for stage, words in commands:
            status = status or run_main(import_module(f"facerec.{stage}").main, words)
    os.fsync = lambda handle: None
    if steps_file:
        steps_file.write_text(str(steps.count))
    os._exit(status)


def start(
    commands: Sequence[tuple[str, Sequence[str]]],
    log: Path,
    kill_at: int | None = None,
    steps_file: Path | None = None,
) -> Any:
    """Run stages, given as (name, arguments), in a child process until one fails; returns the process.

    Args:
        log: file for their output.
        kill_at: step before which, or in the middle of which if it is a write, the child is killed.
        steps_file: file to which the number of steps is written at the end.
    """
    child = _CONTEXT.Process(target=_work, args=(commands, kill_at, steps_file, log), daemon=True)
    child.start()
    return child


def run(commands: Sequence[tuple[str, Sequence[str]]], log: Path, **settings: Any) -> int:
    """Run stages as `start` does and wait; returns the exit status, negative for a signal."""
    child = start(commands, log, **settings)
    child.join(120)
    assert child.exitcode is not None, "the child process hangs"
    return int(child.exitcode)
