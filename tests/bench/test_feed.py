"""The measurement of feeding: a device gets half the bytes, and watching costs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.feed import (
    DecoderThreads,
    FreeDetector,
    FreeDevice,
    FreeReducer,
    feed,
    make_film,
    measure,
)  # fmt: skip
from facerec.video import decoded_frame
from facerec.video.film import open_film
from tests.films import make_film as make_numbers


def test_a_device_gets_half_the_bytes_and_frames_without_detection_none(tmp_path: Path) -> None:
    film = open_film(make_numbers(tmp_path / "1-numbers.mp4", 30))
    cpu, device = FreeDetector(), FreeDevice()
    assert feed(film, 30, cpu)["mib"] == 2 * feed(film, 30, device)["mib"] == 160 * 120 * 3 / 2**20
    table = measure(film, 30, threads=2, rounds=1)
    assert set(table) == {"decode", "rgb", "planes", "host", "sparse"}
    assert table["decode"]["share"] == table["decode"]["bound"] == 1
    for row in table.values():
        assert row["busiest"] == max(row.get(key, 0) for key in ("read", "decoder", "convert", "detect"))
        assert row["cpu_ms"] > 0 and row["cpu_ms"] >= row["host_ms"]


def test_the_host_makes_miniatures_only_where_the_case_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise the cases would not show what they cost; the first is compared with the device's."""
    made, film = [], open_film(make_numbers(tmp_path / "1-numbers.mp4", 10))
    original = decoded_frame.reduce
    monkeypatch.setattr(decoded_frame, "reduce", lambda frame: made.append(frame) or original(frame))
    for device, expected in ((FreeReducer(), 1), (FreeDevice(), 10)):
        for _ in range(2):
            made.clear()
            feed(film, 10, device)
            assert len(made) == expected
    assert not caplog.records


def test_costs_of_watching_are_not_counted() -> None:
    watched = DecoderThreads()
    watched.seconds, watched.own_seconds = {1: 0.5, 2: 1.5}, 0.25
    assert watched.costs(3.25, 10) == pytest.approx({"cpu_ms": 300, "host_ms": 100, "decoder": 150})


def test_the_film_has_the_size_and_length_that_were_asked_for(tmp_path: Path) -> None:
    film = open_film(make_film(tmp_path / "1-demo.mp4", 320, 180, 12))
    assert (film.frame_count, film.display_width, film.display_height) == (12, 320, 180)


def test_one_thread_converts_where_it_reads(tmp_path: Path) -> None:
    film = open_film(make_numbers(tmp_path / "1-numbers.mp4", 20))
    table = measure(film, 20, threads=1, rounds=1)
    assert table["rgb"]["convert"] == 0 < table["rgb"]["read"] == table["rgb"]["busiest"]
