"""What a film says about itself, and which frames a range has, whatever of it is damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from facerec.errors import InputError
from facerec.video import film as module
from facerec.video import held_frames as held_frames_module
from facerec.video import segments as segments_module
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.decoding import DamagedFilm, FrameIndex
from facerec.video.film import (
    Film,
    describe_film,
    display_size_of,
    last_frame_duration,
    open_film,
    read_decoded,
    read_frames,
)
from facerec.video.held_frames import held_frames, held_frames_tags
from facerec.video.identity import HashedFile
from facerec.video.orientation import Orientation
from tests.films import make_film

PATH = Path("7-a.mkv")


def film_of(times: Sequence[int], *, seekable: bool = True, rate: Fraction = Fraction(25)) -> Film:
    index = FrameIndex(np.array(times, np.int64), Fraction(1, 1000), seekable)
    return Film(PATH, 160, 120, 160, 120, 0, False, rate, None, index, (0, 0, 0, 0))


class Decoders:
    """Stands in for the decoder of a film in which some frames are damaged.

    Attributes:
        strictly: frames at which strict decoding stops.
        lost: frames that are never intact.
        runs: (segment's first frame or None for strictly, what was read) of each run.
    """

    def __init__(self, strictly: Sequence[int] = (), lost: Sequence[int] = ()) -> None:
        self.strictly, self.lost = {*strictly, *lost}, set(lost)
        self.runs: list[tuple[int, int | None, list[int]]] = []

    def around(
        self, path: Path, index: FrameIndex, number: int, threads: int | None, skipping: Any = None
    ) -> Iterator[tuple[int, Any]]:
        read: list[int] = []
        self.runs.append((number, threads, read))
        for n in range(max(0, number - 3), len(index.pts)):
            if n in (self.strictly if threads is not None else self.lost):
                if threads is not None:
                    raise DamagedFilm(f"frame {n}")
                continue
            wanted = getattr(skipping, "_wanted", None)
            if wanted is not None and not wanted[n] and n > max(0, number - 3):
                continue
            read.append(n)
            yield n, f"picture {n}"


def read(film: Film, *args: Any, **options: Any) -> list[int]:
    found = list(read_decoded(film, *args, **options))
    assert all(frame.picture == f"picture {frame.number}" and frame.film is film for frame in found)  # type: ignore[comparison-overlap]
    return [frame.number for frame in found]


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> Decoders:
    made = Decoders(strictly=[100, 300], lost=[101, 102, 190, 191, 192, 193, *range(256, 320)])
    monkeypatch.setattr(segments_module, "frames_around", made.around)
    run = SimpleNamespace(header=b"h")
    monkeypatch.setattr(segments_module, "run_around", lambda *args: (run, made.around(*args)))
    return made


FILM = film_of(range(0, 400 * 40, 40))
THERE = [n for n in range(400) if not (101 <= n <= 102 or 190 <= n <= 193 or 256 <= n < 320)]


@pytest.mark.parametrize(
    ("beg", "end"),
    [
        (0, 400), (0, 1), (1, 2), (63, 65), (99, 103), (100, 101), (101, 104), (103, 104), (150, 195),
        (192, 200), (194, 195), (191, 192), (255, 330), (300, 330), (320, 321), (319, 321), (399, 400),
        (399, 999), (256, 320),
    ],
)  # fmt: skip
def test_a_range_has_its_decodable_frames_and_the_one_before_them(
    beg: int, end: int, decoders: Decoders
) -> None:
    owned = [n for n in THERE if beg <= n < end]
    before = [n for n in THERE if n < beg][-1:]
    assert read(FILM, beg, end) == (before + owned if owned else [])


def test_no_more_is_decoded_than_a_range_needs(decoders: Decoders) -> None:
    assert read(FILM, 10, 30, 3) == list(range(9, 30))
    assert decoders.runs == [(0, 3, list(range(30)))]
    decoders.runs.clear()
    assert read(FILM, 70, 99) == list(range(69, 99))
    assert decoders.runs == [(64, 0, list(range(61, 99)))]
    decoders.runs.clear()
    assert read(FILM, 65, 70) == list(range(64, 70)) and decoders.runs == [(64, 0, list(range(61, 70)))]
    for beg, end in ((7, 7), (9, 7), (400, 500), (500, 400)):
        decoders.runs.clear()
        assert read(FILM, beg, end) == [] == decoders.runs


def test_the_segment_of_damage_is_decoded_leniently_from_its_own_begin(decoders: Decoders) -> None:
    assert read(FILM, 90, 140, 2) == [*range(89, 101), *range(103, 140)]
    began = [(number, threads) for number, threads, _ in decoders.runs]
    assert began == [(64, 2), (64, None), (64, None), (128, 2)]
    assert decoders.runs[1][2][-1] == 127 and decoders.runs[2][2][-1] == 127
    decoders.runs.clear()
    assert read(FILM, 90, 128, 2) == [*range(89, 101), *range(103, 128)]
    assert len(decoders.runs) == 3, "nothing behind the range, which may be the end of the film"
    decoders.runs.clear()
    assert read(FILM, 98, 101, 2) == [97, 98, 99, 100]
    assert decoders.runs[2][2][-1] == 100, "not beyond the range"


def test_the_frame_before_a_range_is_sought_back_to_the_first_segment(decoders: Decoders) -> None:
    assert read(FILM, 320, 321) == [255, 320]
    lenient = [number for number, threads, _ in decoders.runs if threads is None]
    assert lenient == [256, 256, 320, 320, 256, 256, 192, 192], "each twice"
    decoders.lost |= set(range(60, 256))
    decoders.strictly |= decoders.lost
    assert read(FILM, 320, 322) == [59, 320, 321]
    decoders.lost |= set(range(60))
    assert read(FILM, 320, 322) == [320, 321], "none is before it"


def test_only_wanted_frames_are_decoded_until_there_is_damage(decoders: Decoders) -> None:
    wanted = np.isin(np.arange(400), [20, 40, 44, 90, 150, 151])
    before = wanted.copy()
    assert set(read(FILM, 10, 60, 1, wanted)) == {9, 20, 40, 44}
    assert decoders.runs[-1][2][-1] == 44
    assert read(FILM, 45, 60, 1, wanted) == [] and read(FILM, 20, 21, 1, wanted) == [19, 20]
    assert read(FILM, 0, 21, 1, wanted) == [0, 20]
    first = np.arange(400) == 0
    assert read(FILM, 0, 21, 1, first) == [0] == read(FILM, 0, 1, 1, first), "the first frame alone"
    found = read(FILM, 30, 200, 1, np.isin(np.arange(400), [40, 44, 150]))
    assert found == [29, 40, *(n for n in THERE if 44 <= n < 200)], "all frames from the damage on"
    assert np.array_equal(wanted, before), "the caller's frames are not changed"


def test_images_are_those_of_strict_decoding_with_as_many_threads_as_asked(
    decoders: Decoders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DecodedFrame, "image", lambda frame: f"image {frame.number}")
    found: list[Any] = list(read_frames(FILM, 97, 104, 3))
    assert found == [(n, f"image {n}") for n in (96, 97, 98, 99, 100, 103)]
    assert [threads for _, threads, _ in decoders.runs] == [3, None, None]
    decoders.runs.clear()
    assert len(list(read_frames(FILM, 5, 9))) == 5 and decoders.runs[0][1] == 0


def test_a_film_without_times_is_read_from_its_start(decoders: Decoders) -> None:
    film = film_of(range(400), seekable=False)
    decoders.strictly = set()
    assert read(film, 350, 352, 4) == [349, 350, 351]
    assert decoders.runs == [(0, None, [n for n in THERE if n < 352])]


@pytest.mark.parametrize(
    ("times", "declared", "rate"),
    [
        (range(0, 4000, 40), Fraction(25), Fraction(25)),
        (range(0, 4000, 40), Fraction(2524, 100), Fraction(2524, 100)),
        (range(0, 4000, 40), Fraction(2476, 100), Fraction(2476, 100)),
        (range(0, 4000, 40), Fraction(2526, 100), Fraction(25)),
        (range(0, 4000, 40), Fraction(2474, 100), Fraction(25)),
        (range(0, 4000, 40), None, Fraction(25)),
        (range(1000, 5000, 50), Fraction(25), Fraction(20)),
        ([0, 40, 80, 1080], Fraction(25), Fraction(25, 9)),
        ([7, 47], None, Fraction(25)),
        ([round(n * 1001 / 24) for n in range(0, 25)], None, Fraction(24000, 1001)),
        ([0, 5_000_000], None, Fraction(1, 5000)),
        ([7], Fraction(30), Fraction(30)),
        ([7], None, Fraction(25)),
    ],
)
def test_the_rate_is_the_declared_one_if_the_times_agree_within_a_hundredth(
    times: Sequence[int], declared: Fraction | None, rate: Fraction
) -> None:
    index = FrameIndex(np.array(times, np.int64), Fraction(1, 1000))
    assert module._frame_rate(index, declared) == rate
    unknown = FrameIndex(np.arange(100), Fraction(1, 1000), seekable=False)
    assert module._frame_rate(unknown, declared) == (declared or 25)


@pytest.mark.parametrize(
    ("width", "height", "sample", "rotation", "aspect", "shown"),
    [
        (720, 576, Fraction(64, 45), 0, None, (1024, 576)),
        (720, 576, Fraction(64, 45), 90, None, (576, 1024)),
        (720, 576, Fraction(64, 45), 180, None, (1024, 576)),
        (720, 576, Fraction(64, 45), 270, Fraction(1, 2), (512, 1024)),
        (720, 576, Fraction(1), 0, Fraction(16, 9), (1024, 576)),
        (160, 120, Fraction(16, 11), 0, None, (233, 120)),
        (161, 120, Fraction(3, 2), 0, None, (242, 120)),  # halves are rounded up
        (161, 120, Fraction(3, 2), 90, None, (120, 242)),
        (160, 120, None, 0, None, (160, 120)),
    ],
)
def test_pixels_are_square_after_the_film_is_turned_upright(
    width: int,
    height: int,
    sample: Fraction | None,
    rotation: int,
    aspect: Fraction | None,
    shown: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = SimpleNamespace(
        time_base=None, frames=0, average_rate=None, guessed_rate=Fraction(24), sample_aspect_ratio=sample
    )
    picture = SimpleNamespace(width=width, height=height)

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[object, object]]:
        yield None, stream

    def run(*_: object) -> Any:
        return SimpleNamespace(frames=lambda: iter([(None, False), (picture, True)]))

    def turned(frame: object, default: Orientation) -> Orientation:
        assert default == Orientation(0), "a frame without a display matrix is upright"
        return Orientation(rotation, frame is None)

    monkeypatch.setattr(module, "open_video", opened)
    monkeypatch.setattr(module, "file_stamp", lambda path: (1, 2, 3, 4))
    monkeypatch.setattr(module, "frames_around", lambda *_: iter([(0, picture)]))
    monkeypatch.setattr(module, "Decoding", run)
    monkeypatch.setattr(module, "orientation_of", turned)
    film = describe_film(PATH, np.array([5, 15]), losses=["a", "b"], display_aspect=aspect)
    assert (film.display_width, film.display_height) == shown == display_size_of(PATH, aspect)
    assert (film.width, film.height, film.rotation, film.mirrored) == (width, height, rotation, False)
    assert film.first_size == ((height, width) if rotation % 180 else (width, height))
    assert (film.frame_rate, film.declared_frames, film.time_base) == (Fraction(100), None, Fraction(1, 1000))
    assert (film.losses, film.stamp, film.seekable, film.name) == (("a", "b"), (1, 2, 3, 4), True, "7-a.mkv")
    again = describe_film(PATH, np.array([5]), seekable=False, display_size=(300, 200), display_aspect=aspect)
    assert (again.display_width, again.display_height, again.seekable) == (300, 200, False)
    assert again.frame_rate == 24 and again.frame_count == 1
    for size, is_refused in (((16384, 1), False), ((1, 16384), False), ((0, 9), True), ((9, 0), True)):
        refused = False
        try:
            describe_film(PATH, np.array([5]), display_size=size)
        except InputError:
            refused = True
        assert refused is is_refused, size
    for size in ((16385, 9), (9, 16385)):
        with pytest.raises(InputError, match=r"7-a\.mkv: has \d+x\d+ pixels by its header"):
            describe_film(PATH, np.array([5]), display_size=size)


def test_a_film_of_which_the_decoder_gives_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(tmp_path / "1-a.mkv", 2)
    monkeypatch.setattr(module, "frames_around", lambda *_: iter([]))
    monkeypatch.setattr(module.Decoding, "frames", lambda self: iter([(None, False)]))
    for describe in (lambda: describe_film(film, np.array([0, 40])), lambda: display_size_of(film)):
        with pytest.raises(InputError, match=r"1-a\.mkv: no frame of it can be decoded"):
            describe()


def test_the_last_frame_is_shown_as_long_as_any_if_its_packet_is_not_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or if its packet has no duration."""
    film, errors = film_of([0, 50, 100], rate=Fraction(20)), [None]  # type: ignore[var-annotated]

    def seek(position: int, stream: object) -> None:
        assert (position, stream) == (100, "stream")
        if errors[0]:
            raise errors[0]

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[Any, str]]:
        yield SimpleNamespace(seek=seek), "stream"

    times = [(50, 30), (100, 70), (150, 90)]
    monkeypatch.setattr(module, "open_video", opened)

    def packets(container: object, stream: str) -> list[Any]:
        assert stream == "stream"
        return [SimpleNamespace(pts=pts, duration=duration) for pts, duration in times]

    monkeypatch.setattr(module, "packets", packets)
    assert last_frame_duration(film) == Fraction(70, 1000)
    for error in (ValueError("no"), OSError("no"), av.error.EOFError(1, "no")):
        errors[0] = error
        assert last_frame_duration(film) == Fraction(1, 20)
    errors[0] = None
    for other in ([(50, 30)], [(100, 0)], [(100, None)]):
        times[:] = other  # type: ignore[assignment]
        assert last_frame_duration(film) == Fraction(1, 20)
    assert last_frame_duration(film_of([0, 50, 100], seekable=False)) == Fraction(1, 25)


def test_only_the_tag_of_held_frames_says_which_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    tags: dict[str, str] = {}

    @contextmanager
    def opened(path: Path) -> Iterator[tuple[object, None]]:
        yield SimpleNamespace(metadata=tags), None

    monkeypatch.setattr(held_frames_module, "open_video", opened)
    ((key, text),) = held_frames_tags("3,7-9").items()
    for tags, ranges in (
        ({key: text}, "3,7-9"),
        ({key.upper(): text}, "3,7-9"),  # as Matroska keeps them
        (held_frames_tags(""), ""),
        ({key: "Scanned from the negative, frames 3,7-9"}, ""),
        ({"title": text}, ""),
    ):
        assert held_frames(FILM) == ranges, tags
    assert held_frames_tags("") == {}, "a film without held frames has no tag"


def test_a_film_is_hashed_while_it_is_indexed(tmp_path: Path) -> None:
    """So that it is read once, which takes minutes over a network."""
    path = make_film(tmp_path / "1-a.mkv", 20)
    with HashedFile(path) as file:
        assert open_film(path, file=file).frame_count == 20
        assert file._hashed > 0.9 * path.stat().st_size
    assert list(read_frames(film_of([0]), 3, 9)) == []
