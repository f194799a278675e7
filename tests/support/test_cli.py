"""Command-line behaviour of the stages: one-line errors, exit status, logging and progress."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from facerec.errors import ContractError, FacerecError, InputError, Interrupted
from facerec.folder.command import add_path_argument, run_on_folders
from facerec.folder.layout import MovieFolder
from facerec.support import cli
from tests.conftest import ROOT

STAGES = sorted(path.stem for path in (ROOT / "facerec").glob("*.py") if "run_main(main)" in path.read_text())


def ended(raised: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit status and standard error of a stage that raises."""

    def main(_: object) -> int:
        raise raised

    status = cli.run_main(main)
    output = capsys.readouterr()
    assert output.out == ""
    return status, output.err.partition("error: ")[2]


@pytest.mark.parametrize(
    ("raised", "status", "line"),
    [
        (FacerecError("what, where, the way out"), 1, "what, where, the way out\n"),
        (InputError("two\n   lines of '/a  b'\r\n"), 1, "two lines of '/a  b'\n"),
        (ContractError("a/b.jsonl", "a rule", 3), 1, "a/b.jsonl:3: a rule\n"),
        (Interrupted("stopped by SIGTERM; run it again"), 75, "stopped by SIGTERM; run it again\n"),
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C; run the same command again to continue\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/x/7-data"),
            1,
            "/x/7-data: Permission denied\n",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/x/f"),
            1,
            "/x/f: No space left on device; free disk space",
        ),
        (OSError("odd"), 1, "odd\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_status(
    raised: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, message = ended(raised, capsys)
    assert found == status
    assert message.startswith(line) and message.count("\n") == 1


def test_a_programming_error_is_not_hidden() -> None:
    def main(_: object) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli.run_main(main)


def test_arguments_and_exit_status_are_passed_on() -> None:
    assert cli.run_main(lambda words: len(words or ()), ["a", "b"]) == 2
    assert cli.run_main(lambda words: 0) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_a_signal_ends_with_the_exit_status_for_a_rerun(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(_: object) -> int:
        os.kill(os.getpid(), number)
        time.sleep(60)
        return 0

    before = signal.getsignal(number)
    assert cli.run_main(main) == 75
    assert f"stopped by {number.name}; run the same command again" in capsys.readouterr().err
    assert signal.getsignal(number) == before


def folders(out: Path, *names: str) -> list[Path]:
    for name in names:
        (out / name).mkdir()
    return [out / name for name in names]


def test_an_error_in_one_folder_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(folder: MovieFolder) -> str:
        if folder.movie_id == 2:
            raise InputError("bad")
        return "done"

    paths = [*folders(tmp_path, "1-data", "2-data", "3-data", "4-film"), tmp_path / "5-data"]
    assert run_on_folders(paths, work) == 1
    output = capsys.readouterr()
    assert output.out.splitlines() == ["movie 1: done", "movie 3: done"]
    lines = output.err.splitlines()
    assert len(lines) == 3 and all(": error: " in line for line in lines)
    assert "named <movie_id>-data" in lines[1] and "does not exist" in lines[2]


@pytest.mark.parametrize(("raised", "status"), [(Interrupted("stopped"), 75), (KeyboardInterrupt(), 130)])
def test_an_interruption_stops_all_folders(raised: BaseException, status: int, tmp_path: Path) -> None:
    seen = []

    def work(folder: MovieFolder) -> str:
        seen.append(folder.movie_id)
        raise raised

    assert run_on_folders(folders(tmp_path, "1-data", "2-data"), work) == status
    assert seen == [1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_progress_bar() -> None:
    terminal = Terminal()
    with cli.progress("movie 7 shard 0", 20, stream=terminal) as advance:
        advance(20)
    assert "movie 7 shard 0: 100%" in terminal.getvalue() and "20/20" in terminal.getvalue()


def test_the_rate_on_a_terminal_is_that_since_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local workers report frames every ten seconds: the last burst says nothing about the time left."""
    now = 0.0
    monkeypatch.setattr("tqdm.std.time", lambda: now)
    terminal = Terminal()
    with cli.progress("x", 100, stream=terminal) as advance:
        for done in (0, 20, 0, 0, 20):
            now += 5.0
            advance(done)
    assert "40/100 [00:25<00:37,  1.60 frames/s]" in terminal.getvalue()


def test_a_log_file_gets_lines_with_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([100.0, 104.0, 110.0, 112.0, 121.0])
    monkeypatch.setattr("facerec.support.cli.time.monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO)
    stream = io.StringIO()
    with cli.progress("movie 7 shard 0", 100, stream=stream) as advance:
        for done in (20, 30, 5, 8):
            advance(done)
    assert stream.getvalue() == ""
    assert caplog.messages == [
        "movie 7 shard 0: 50 of 100 frames, 5.0 frames/s, 10 s left",
        "movie 7 shard 0: 63 of 100 frames, 3.0 frames/s, 12 s left",
    ]


def test_without_progress_the_time_left_is_unknown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = iter([0.0, 30.0])
    monkeypatch.setattr("facerec.support.cli.time.monotonic", lambda: next(clock))
    caplog.set_level(logging.INFO)
    with cli.progress("x", 100, stream=io.StringIO()) as advance:
        advance(0)
    assert caplog.messages == ["x: 0 of 100 frames, 0.0 frames/s, time left unknown"]


def test_defaults_are_shown_and_options_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    made = cli.parser("What it does.\n  Second line.")
    made.add_argument("--max-gap", type=int, default=10, help="longest gap")
    made.add_argument("--path", help="movie folder")
    assert "(default: 10)" in made.format_help() and "  Second line." in made.format_help()
    assert "None" not in made.format_help() and "False" not in made.format_help()  # no value a user can give
    with pytest.raises(SystemExit):
        made.parse_args(["--max", "3"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_one_or_more_paths_are_required(capsys: pytest.CaptureFixture[str]) -> None:
    made = cli.parser(None)
    add_path_argument(made)
    assert made.parse_args(["--path", "a", "b"]) == argparse.Namespace(
        path=[Path("a"), Path("b")], verbose=False
    )
    with pytest.raises(SystemExit):
        made.parse_args([])
    assert "--path" in capsys.readouterr().err


def test_logging_goes_to_standard_error_without_library_chatter(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        for verbose, lines in ((False, 1), (True, 2)):
            cli.configure_logging(verbose)
            logging.info("seen")
            logging.debug("seen with --verbose")
            logging.getLogger("PIL").info("never")
            output = capsys.readouterr()
            assert (output.out, output.err.count("\n")) == ("", lines)
    finally:
        logging.getLogger().handlers[:] = before
        logging.getLogger().setLevel(logging.WARNING)


def run_python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    "call", [lambda s: ["-m", f"facerec.{s}"], lambda s: [f"./facerec/{s}.py"]], ids=["module", "script"]
)
def test_help_loads_no_heavy_library(stage: str, call: Callable[[str], list[str]]) -> None:
    done = run_python("-X", "importtime", *call(stage), "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: ")
    loaded = {
        line.split("|")[-1].strip().split(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    heavy = {"torch", "cv2", "sklearn", "av", "onnxruntime", "scenedetect", "PIL"}
    assert not loaded & (
        heavy if stage == "fetch_models" else heavy | {"numpy"}
    )  # fetch_models lists all models, which needs numpy


def test_a_closed_output_pipe_gives_no_traceback(tmp_path: Path) -> None:
    paths = " ".join(f"'{path}'" for path in folders(tmp_path, *(f"{i}-data" for i in range(1, 200))))
    command = f"{sys.executable} -m facerec.check {paths} | head -n 1"
    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("movie 1:") and "Traceback" not in done.stderr


def test_a_file_system_without_free_inodes_is_told_from_a_full_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "new" / "f"))
    real = os.statvfs(tmp_path)
    values = dict(zip(("f_bavail", "f_files", "f_favail"), (1000, 500, 0), strict=True))
    fields = {name: values.get(name, getattr(real, name)) for name in dir(real) if name.startswith("f_")}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**fields))
    assert "no free inodes" in ended(error, capsys)[1]
    fields["f_favail"] = 100
    assert "free disk space" in ended(error, capsys)[1]
    assert "their number" in ended(OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path)), capsys)[1]


def test_control_characters_of_file_names_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(InputError("1-a\x1b[2J\x9b.mp4: no such film"), capsys)[1] == (
        "1-a\\x1b[2J\\x9b.mp4: no such film\n"
    )
    cli.configure_logging()
    logging.info("%s: é\tread", "1-a\n23:59:59 INFO forged\r.mp4")
    assert capsys.readouterr().err.splitlines()[-1].endswith("1-a\\x0a23:59:59 INFO forged\\x0d.mp4: é\tread")


SCRIPT = """
import sys
from facerec.support.cli import configure_logging, run_main

def main(argv):
    configure_logging()
    print(ascii(sys.argv[1]), sys.argv[1])
    return 0

raise SystemExit(run_main(main))
"""


@pytest.mark.parametrize("name", ["1-Amélie.mp4".encode(), b"1-Am\xe9lie.mp4"], ids=["UTF-8", "Latin-1"])
def test_file_names_do_not_depend_on_the_encoding_of_the_locale(name: bytes, tmp_path: Path) -> None:
    (tmp_path / "stage.py").write_text(SCRIPT)
    seen = []
    for utf8 in ("0", "1"):  # 0: by the locale, here ASCII
        env = {"PYTHONPATH": str(ROOT), "PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}
        words = [sys.executable, tmp_path / "stage.py", name]
        done = subprocess.run(words, env=env, capture_output=True, check=True)
        seen.append(done.stdout)
    assert seen[0] == seen[1] and ascii(os.fsdecode(name)).encode() in seen[0]
