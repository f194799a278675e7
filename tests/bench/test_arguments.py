"""Wrong arguments of the benchmarks of models and shots are one line, before anything is measured."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

import pytest

from bench.measure import positive
from facerec.support.cli import run_main
from tests.films import make_film


def outcome(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a benchmark; return its exit status and the last line of standard error."""
    try:
        status = run_main(import_module(f"bench.{name}").main, words)
    except SystemExit as error:  # of argparse
        status = int(error.code or 0)
    printed = capsys.readouterr()
    assert not printed.out
    return status, printed.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("gpu", ["--device", "tpu"], "'tpu' is not one of cpu, cuda"),
        ("gpu", ["--device", "auto"], "'auto' is not one of cpu, cuda"),
        ("gpu", ["--device", "cpu", "--precision", "tf32"], "invalid choice: 'tf32'"),
        ("gpu", ["--device", "cpu", "no.mp4"], "no.mp4: no such film"),
        ("gpu", ["--device", "cpu", "--sizes", "640"], "'640' is not a width and a height"),
        ("gpu", ["--device", "cpu", "--sizes", "0x0"], "'0x0' is not a width and a height"),
        ("gpu", ["--device", "cpu", "--sizes", "321x180"], "'321x180' is not a width and a height"),
        ("gpu", ["--device", "cpu", "--precisions", "int4"], "invalid choice: 'int4'"),
        ("gpu", ["--device", "cpu", "--batch-sizes", "0"], "'0' is not a whole number of at least 1"),
        (
            "gpu",
            ["--device", "cpu", "--detector", "yunet"],
            "yunet: retinaface or retinaface:FILE is measured",
        ),
        ("gpu", ["--device", "cpu", "--embedder", "facenet:no.pt"], "no.pt: no such file"),
        ("tiles", ["no.mp4", "--detector", "yunet"], "no.mp4: no such film"),
        ("tiles", ["FILM"], "no detector: give --detector NAME[:FILE]"),
        ("tiles", ["FILM", "--every", "1", "--detector", "yolo"], "unknown detector 'yolo'"),
        ("tiles", ["FILM", "--detector", "yunet", "--every", "0"], "'0' is not a whole number of at least 1"),
        ("tiles", ["FILM", "--detector", "yunet"], "1 frames are too few for a mosaic of 4; lower --every"),
        ("shots", ["no"], "no: has no film 10001-*.mp4, 10002-*.mp4"),
        ("shots", ["no", "--seeds", "-1"], "'-1' is not a whole number of at least 0"),
        ("onnx_loops", ["1-no.mp4", "--scrfd", "a", "--arcface", "b"], "1-no.mp4: no such film"),
        ("onnx_loops", ["FILM", "--scrfd", "no.onnx", "--arcface", "b"], "no.onnx: no such file"),
        ("onnx_loops", ["FILM", "--scrfd", "a", "--arcface", "b", "--rounds", "0"], "at least 1"),
        ("feed", ["no.mp4"], "no.mp4: no such film"),
        ("feed", ["--threads", "0"], "'0' is not a whole number of at least 1"),
        ("pipeline", ["no.mp4", "--frames", "-5"], "'-5' is not a whole number of at least 1"),
        (
            "embedders",
            ["FILM", "--truth", "no", *["--actor-db", "a", "--detector", "b", "--embedder", "c"]],
            "no: no such",
        ),
        ("detectors", ["speed", "FILM", "--detector", "yunet"], "expected NAME=SPEC"),
        ("detectors", ["speed", "FILM", "--rounds", "0"], "'0' is not a whole number of at least 1"),
    ],
)
def test_a_wrong_argument_is_one_line(
    name: str,
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if "FILM" in words:
        make_film(tmp_path / "1-film.mp4", 4)
    status, line = outcome(name, ["1-film.mp4" if word == "FILM" else word for word in words], capsys)
    assert status != 0 and "error: " in line and message in line


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "", "²"])
def test_what_counts_nothing_is_no_number_of_frames(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        positive(text)
