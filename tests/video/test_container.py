"""Reading packets over places that cannot be read, and what a header says."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from facerec.errors import InputError
from facerec.video import container as module
from facerec.video.container import BLOCK, DEMUX_RETRIES, declared_frames, open_video, packets
from tests.films import make_film

DAMAGE = (ValueError("no"), OSError("no"), av.error.InvalidDataError(1, "no"))


class Container:
    """Stands in for a file: a number is a packet of so many bytes, an error is what reading meets."""

    def __init__(self, items: Sequence[Any], size: int = 0) -> None:
        self.items, self.size = iter(items), size

    def demux(self, stream: str) -> Iterator[Any]:
        assert stream == "stream"
        for item in self.items:
            if isinstance(item, BaseException):
                raise item
            yield SimpleNamespace(size=item)


def read(items: Sequence[Any], size: int = 0) -> tuple[list[int], list[int]]:
    damage: list[int] = []
    found = [packet.size for packet in packets(Container(items, size), "stream", damage)]  # type: ignore[type-var, arg-type]
    again = packets(Container(items, size), "stream")  # type: ignore[type-var, arg-type]
    assert [packet.size for packet in again] == found, "with or without a list"
    return found, damage


def test_each_place_of_damage_counts_once_and_empty_packets_are_left_out() -> None:
    one, two, three = DAMAGE
    assert read([5, 6, one, two, 7, 8, three, 9]) == ([5, 6, 7, 8, 9], [2, 4])
    assert read([5, one, 0, 6]) == ([5, 6], []), "only flushed"
    assert read([one, 5, 0]) == ([5], [0]) and read([5, one]) == ([5], [])
    assert read([0, 5, 0, 6]) == ([5, 6], [])
    assert read([5, IndexError("late stream"), 6]) == ([5], []), "the end of a damaged transport stream"


@pytest.mark.parametrize(
    ("size", "more"), [(-1, 0), (0, 0), (BLOCK - 1, 0), (BLOCK, 1), (10 * BLOCK + 5, 10)]
)
def test_a_film_ends_after_as_many_errors_as_a_hole_of_its_size_may_give(size: int, more: int) -> None:
    most = DEMUX_RETRIES + more
    for count, goes_on in ((most, True), (most + 1, False)):
        items = [3, *[DAMAGE[0]] * 9, 4, *[DAMAGE[k % 3] for k in range(count)], 5]
        assert read(items, size)[0] == ([3, 4, 5] if goes_on else [3, 4])


@pytest.mark.parametrize(
    ("frames", "duration", "average", "guessed", "declared"),
    [
        (40, 9_000_000, Fraction(25), None, 40),
        (0, 2_000_000, Fraction(25), Fraction(50), 50),
        (0, 2_000_000, None, Fraction(50), 100),
        (0, 2_019_999, Fraction(25), Fraction(25), 50),
        (0, 2_020_001, Fraction(25), Fraction(25), 51),
        (0, 2_000_000, None, None, None),
        (0, None, Fraction(25), None, None),
        (0, 0, Fraction(25), None, None),
    ],
)
def test_the_number_of_frames_follows_from_the_time_if_the_header_has_none(
    frames: int,
    duration: int | None,
    average: Fraction | None,
    guessed: Fraction | None,
    declared: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def opened(path: Path) -> Iterator[tuple[Any, Any]]:
        stream = SimpleNamespace(frames=frames, average_rate=average, guessed_rate=guessed)
        yield SimpleNamespace(duration=duration), stream

    monkeypatch.setattr(module, "open_video", opened)
    assert declared_frames(Path("7-a.mkv")) == declared


@pytest.mark.parametrize("box", [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"])
def test_an_mp4_that_cannot_be_read_lacks_its_index(
    box: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DAMAGE[2]

    monkeypatch.setattr(av, "open", fail)
    path = tmp_path / "1-a.mp4"
    for start, reason in ((b"\0\0\0\x14" + box, "moov atom"), (b"\0\0\0" + box, "is it a video file")):
        path.write_bytes(start + bytes(99))
        with pytest.raises(InputError, match=reason), open_video(path):
            pass


def test_a_large_file_that_is_no_film_is_not_read_into_memory(tmp_path: Path) -> None:
    """A broken film may have more bytes than the machine has memory."""
    path = tmp_path / "1-a.mp4"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="is it a video file"), open_video(path):
            pass
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_other_streams_are_not_read(tmp_path: Path) -> None:
    path = make_film(tmp_path / "1-a.mkv", 5, audio=True)
    with open_video(path) as (container, stream):
        kept = [other for other in container.streams if other.discard != av.stream.Discard.all]
        assert kept == [stream] and len(container.streams) == 2
