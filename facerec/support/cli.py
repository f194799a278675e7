"""Command-line behaviour that all stages share: arguments, logging, progress and exit status."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from facerec.errors import FacerecError
from facerec.support.signals import stop_on_signals

LOG_SECONDS = 10.0  # between two progress lines in a log file
EXIT_CTRL_C = 130  # the shells' convention: 128 + SIGINT
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) != "\t"}
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows each option's default, if it has one, and keeps the line breaks of the description."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default in ("", []):
            return action.help
        return super()._get_help_string(action)


def program() -> str:
    """Return the name of the running program, as in its errors and its usage line: `extract.py`."""
    return Path(sys.argv[0]).name


def parser(description: str | None) -> argparse.ArgumentParser:
    """Create an argument parser that shows the defaults of options and has `--verbose`."""
    command_line = argparse.ArgumentParser(
        prog=program(), description=description, formatter_class=_HelpFormatter, allow_abbrev=False
    )
    command_line.add_argument("-v", "--verbose", action="store_true", help="also log debug messages")
    return command_line


def configure_logging(verbose: bool = False) -> None:
    """Log to standard error; standard output is for the summary lines of the stages."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files that are not UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    for library in ("PIL", "matplotlib", "libav", "pyscenedetect", "urllib3"):
        logging.getLogger(library).setLevel(logging.ERROR)


def run_main(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run a stage's `main`; turn its errors into one line on standard error and an exit status.

    Returns:
        The value of `main`; a `FacerecError`'s `exit_status` (SIGTERM and SIGUSR2 raise `Interrupted`);
        1 for an `OSError` (full disk, missing permission); 130 after Ctrl-C.
    """
    if argv is None:
        _use_utf8_file_names()
    try:
        with stop_on_signals(immediately=True):
            return main(argv)
    except FacerecError as error:
        return _fail(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _fail("stopped by Ctrl-C; run the same command again to continue", EXIT_CTRL_C)
    except BrokenPipeError:  # e.g. `| head`: do not fail again when Python flushes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        where = "".join(f"{name}: " for name in (error.filename, error.filename2) if name)
        return _fail(f"{where}{error.strerror or error}{_space_remedy(error)}", 1)


def _use_utf8_file_names() -> None:
    """Start this program again in Python's UTF-8 mode if the locale has another encoding.

    File names are bytes. Python decodes them by the locale, so that one film would have other names in plans
    and tables under `LANG=de_DE` than under `LANG=de_DE.UTF-8`.
    """
    if sys.getfilesystemencoding().lower() == "utf-8" or not sys.executable:
        return
    os.environ["PYTHONUTF8"] = "1"  # for the programs that this one starts
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _space_remedy(error: OSError) -> str:
    """Return what to do about a full disk, to be appended to a message; empty for other errors.

    A file system may have no free inodes, one for each file, while it has free space.
    """
    if error.errno not in _DISK_FULL:
        return ""
    again = "and run the same command again"
    path = Path(os.path.abspath(os.fsdecode(error.filename2 or error.filename or ".")))
    with suppress(OSError):
        found = os.statvfs(next(parent for parent in (path, *path.parents) if parent.exists()))
        if found.f_files and not found.f_favail and found.f_bavail:
            return f": the file system has space, but is full of files (no free inodes); remove files {again}"
    if error.errno == errno.EDQUOT:
        return f"; remove files (a quota may count their bytes or their number, see `quota -s`) {again}"
    return f"; free disk space {again}"


def printable(text: str) -> str:
    """Escape control characters: names of files may hold line breaks and commands for terminals."""
    return text.translate(_ESCAPES)


class _Formatter(logging.Formatter):
    """Writes each message in one line."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return text if record.exc_info or record.stack_info else printable(text)


def _fail(message: str, status: int) -> int:
    line = " ".join(
        part.strip() for part in message.splitlines()
    )  # spaces inside a line may be part of a path
    sys.stderr.write(f"{program()}: error: {printable(line)}\n")
    return status


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(
    label: str, total: int, unit: str = "frames", stream: TextIO | None = None, *, log_share: float = 0.0
) -> Iterator[Callable[[int], None]]:
    """Show progress: a bar on a terminal, otherwise a log line every ten seconds.

    Args:
        log_share: share of the time so far that lies between two log lines, if that is longer.

    Yields:
        `advance(n)`: call it with the number of units just finished.
    """
    stream = stream or sys.stderr
    if stream.isatty():
        from tqdm import tqdm

        # smoothing=0: the rate since the beginning, as in a log; work may be reported in bursts
        look = {"unit": f" {unit}", "dynamic_ncols": True, "smoothing": 0}
        with tqdm(total=total, desc=label, file=stream, **look) as bar:
            yield lambda n: (bar.update(n), None)[1]
        return
    begun = logged = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, logged
        done += n
        now = time.monotonic()
        if now - logged >= max(LOG_SECONDS, log_share * (logged - begun)):
            logged = now
            rate = done / (now - begun)
            left = f"{_duration((total - done) / rate)} left" if rate else "time left unknown"
            logging.info("%s: %d of %d %s, %.1f %s/s, %s", label, done, total, unit, rate, unit, left)

    yield advance
