"""Run a program: pass its output on, stop it cleanly, and say why it failed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from facerec.support.shell import launched_environment
from slurm.queue import out_of_memory

_TAIL_LINES = 10
Sink = Callable[[bytes], None]


class StopRequest:
    """A request to stop, forwarded to running processes, which have `grace` seconds to end cleanly."""

    def __init__(self, grace: float = 45.0) -> None:
        self.received: signal.Signals | None = None
        self._grace = grace
        self._children: list[subprocess.Popen[bytes]] = []

    def request(self, number: int, _frame: object = None) -> None:
        """Handle a signal: remember it and forward it to the processes."""
        self.received = signal.Signals(number)
        for child in tuple(self._children):
            child.send_signal(signal.SIGTERM)
            timer = threading.Timer(self._grace, child.kill)
            timer.daemon = True
            timer.start()

    def kill(self) -> None:
        """Kill the processes now."""
        for child in tuple(self._children):
            child.kill()

    @contextmanager
    def forwarded_to(self, child: subprocess.Popen[bytes]) -> Iterator[None]:
        self._children.append(child)
        if self.received:  # while the process was being started
            child.send_signal(signal.SIGTERM)
        try:
            yield
        finally:
            self._children.remove(child)


def run_process(
    command: Sequence[str], stop: StopRequest, sink: Sink, env: Mapping[str, str] | None = None
) -> tuple[int, list[str]]:
    """Run a program and pass its output to `sink` line by line.

    Returns:
        The exit status and the last lines of the output.

    Raises:
        OSError: `sink` cannot write; the process is killed.
    """
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=launched_environment(os.environ if env is None else env),
        start_new_session=True,  # Ctrl-C reaches it through StopRequest only
    )
    with child, stop.forwarded_to(child):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                sink(line)
                if line.strip():
                    tail.append(line.decode("utf-8", "replace").rstrip())
        except OSError:  # the log cannot be written
            child.kill()
            raise
        status = child.wait()
    return status, list(tail)


def write_to(*files: BinaryIO) -> Sink:
    """Return a sink that writes to all `files` and flushes them after each line."""

    def write(line: bytes) -> None:
        for file in files:
            file.write(line)
            file.flush()

    return write


def ran_out_of_memory(memory: str) -> str:
    """Describe a lack of memory; `memory` as in `failure_reason`."""
    return f"out of memory ({f'requested {memory}' if memory else 'none was requested: give memory'})"


def failure_reason(status: int, tail: Collection[str], memory: str) -> str:
    """Describe why a process failed.

    Args:
        status: exit status; negative for a signal.
        tail: last lines of the output.
        memory: memory that the task requested; empty for the default of SLURM.
    """
    if out_of_memory(tail):
        return ran_out_of_memory(memory)
    if status == -signal.SIGKILL or status == 128 + signal.SIGKILL:
        return f"killed, most likely {ran_out_of_memory(memory)}"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"
