"""What every stage script shares: its parser, its log, its progress and how it ends."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from facerec.errors import FacerecError
from facerec.support.signals import stop_on_signals

if TYPE_CHECKING:
    pass

LOG_SECONDS = 10.0  # between two progress lines where nobody watches
EXIT_CTRL_C = 130  # as shells have it: 128 + SIGINT
FULL = (errno.ENOSPC, errno.EDQUOT)


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows each option's default and keeps the description's lines."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser that shows every default; `--verbose` comes with it."""
    made = argparse.ArgumentParser(description=description, formatter_class=_Help, allow_abbrev=False)
    made.add_argument("-v", "--verbose", action="store_true", help="also log what is usually not of interest")
    return made


def configure_logging(verbose: bool = False) -> None:
    """Log to standard error, so that a stage's one summary line has standard output to itself."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
        force=True,
    )
    for chatty in ("PIL", "matplotlib", "libav", "pyscenedetect", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.ERROR)


def run_main(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run a stage's `main` and turn its failures into one line and an exit status.

    Returns:
        What `main` returned; the error's `exit_status` for a `FacerecError`, which SIGTERM and SIGUSR2
        become; 1 for an `OSError` (full disk, missing right); 130 after Ctrl-C.
    """
    program = Path(sys.argv[0]).name
    try:
        with stop_on_signals(at_once=True):
            return main(argv)
    except FacerecError as error:
        return _fail(program, str(error), error.exit_status)
    except KeyboardInterrupt:
        return _fail(program, "stopped by Ctrl-C; run the same command again to go on", EXIT_CTRL_C)
    except BrokenPipeError:  # the reader of our summary line went away: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = "".join(f"{name}: " for name in (error.filename, error.filename2) if name)
        full = "; make room and run the same command again" if error.errno in FULL else ""
        return _fail(program, f"{where}{error.strerror or error}{full}", 1)


def _fail(program: str, message: str, status: int) -> int:
    line = " ".join(part.strip() for part in message.splitlines())  # blanks inside may be part of a path
    sys.stderr.write(f"{program}: error: {line}\n")
    return status


@contextmanager
def progress(
    label: str, total: int, unit: str = "frames", stream: TextIO | None = None
) -> Iterator[Callable[[int], None]]:
    """Show how far long work is: a bar on a terminal, a log line every ten seconds elsewhere.

    Yields:
        `advance(n)`, to be called with the number of units just finished.
    """
    stream = stream or sys.stderr
    if stream.isatty():
        from tqdm import tqdm

        with tqdm(total=total, desc=label, unit=f" {unit}", file=stream, dynamic_ncols=True) as bar:
            yield lambda n: (bar.update(n), None)[1]
        return
    begun = spoken = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, spoken
        done += n
        now = time.monotonic()
        if now - spoken >= LOG_SECONDS:
            spoken = now
            rate = done / (now - begun)
            left = f"{(total - done) / rate:.0f} s left" if rate else "time left unknown"
            logging.info("%s: %d of %d %s, %.1f %s/s, %s", label, done, total, unit, rate, unit, left)

    yield advance
