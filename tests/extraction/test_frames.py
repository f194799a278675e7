"""Frames in a ring of batches: their order, threads, errors and ends, and what a device gets to see."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import av
import numpy as np
import pytest
import torch
from av.video.frame import VideoFrame
from numpy.typing import NDArray

import facerec.extraction.frames as module
from facerec.errors import InputError, NonFiniteError
from facerec.extraction import device_miniatures
from facerec.extraction.conversions import Frame
from facerec.extraction.frames import RING, frame_steps
from facerec.geometry import Image
from facerec.models.base import Detections, Detector
from facerec.models.planes import Planes
from facerec.pixels import Channels, FrameBatch, Reduction
from facerec.support.prefetch import Profile
from facerec.video import reduction
from facerec.video.conversion import sum_tables
from facerec.video.decoded_frame import DecodedFrame
from facerec.video.decoding import Decoding
from facerec.video.film import Film, open_film, read_decoded, read_frames
from facerec.video.miniature import LUMA_BYTES, pixels_of
from tests.films import make_film, number_in
from tests.toy import MOVIE, Story, ToyDetector, results, run_extract, run_merge

FRAMES = 45


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return open_film(make_film(tmp_path_factory.mktemp("film") / "1-numbers.mp4", FRAMES, bframes=2))


def nothing() -> Detections:
    return Detections(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32))


class Reader:
    """A detector that finds nothing and keeps the numbers that it reads in the pictures."""

    card = ToyDetector.card

    def __init__(self, batch_size: int = 4, delay: float = 0.0) -> None:
        self.batch_size, self.delay = batch_size, delay
        self.seen: list[list[int]] = []

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        time.sleep(self.delay)
        self.seen.append([number_in(frame) for frame in frames])
        return [nothing() for _ in frames]


def to_images(batch: FrameBatch) -> list[Image]:
    """Convert a batch as a device does."""
    if batch.yuv is None:
        return list(batch.pixels)
    height, width, size = batch.height, batch.width, batch.height * batch.width
    images = []
    for frame in batch.pixels:
        y, u, v = np.split(frame, [size, size * 5 // 4])
        chroma = (height // 2, width // 2)
        planes = y.reshape(height, width), u.reshape(chroma), v.reshape(chroma)
        images.append(sum_tables(batch.yuv.tables, *planes))
    return images


class Device:
    """A detector on a pretended device, which reads a batch only when its results are taken."""

    def __init__(self, detector: Detector, in_flight: int = 1) -> None:
        self.card, self.batch_size, self.in_flight = detector.card, detector.batch_size, in_flight
        self._detector = detector
        self.allocated: list[tuple[int, ...]] = []
        self.forms: list[bool] = []  # whether each batch was in planes
        self.waiting = self.most_waiting = 0

    def detect(self, frames: Sequence[Image]) -> list[Detections]:
        raise AssertionError("frames must come in batches")

    def allocate(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        self.allocated.append(shape)
        return np.full(shape, 77, np.uint8)

    def submit_batch(self, batch: FrameBatch) -> Callable[[], list[Detections]]:
        assert batch.reduction is None or hasattr(self, "reduce")
        self.forms.append(batch.yuv is not None)
        self.waiting += 1
        self.most_waiting = max(self.waiting, self.most_waiting)

        def finish() -> list[Detections]:
            self.waiting -= 1
            return self._detector.detect(to_images(batch))

        return finish


class ReducingDevice(Device):
    """As `Device`, and it makes miniatures, with a mistake or without one."""

    def __init__(
        self,
        detector: Detector,
        in_flight: int = 1,
        mistake: Callable[[NDArray[np.uint8]], object] = lambda miniatures: None,
    ) -> None:
        super().__init__(detector, in_flight)
        self._planes, self._mistake = Planes(torch.device("cpu")), mistake
        self.compared = self.reduced = 0
        self.reductions: set[Reduction] = set()

    def reduce(self, batch: FrameBatch) -> None:
        self.compared += 1
        self._fill(batch)

    def submit_batch(self, batch: FrameBatch) -> Callable[[], list[Detections]]:
        results = super().submit_batch(batch)

        def finish() -> list[Detections]:
            if batch.reduction is not None:
                self.reduced += len(batch)
                self._fill(batch)
            return results()

        return finish

    def _fill(self, batch: FrameBatch) -> None:
        assert batch.reduction is not None and batch.miniatures is not None
        self.reductions.add(batch.reduction)
        batch.miniatures[:] = self._planes.to_miniatures(torch.from_numpy(batch.pixels), batch.reduction)
        self._mistake(batch.miniatures)


def run(
    film: Film, detector: Detector, beg: int = 0, end: int = FRAMES, every: int = 1, save_every: int = 1
) -> list[list[Frame]]:
    with (
        frame_steps(film, detector, every, save_every, Profile()) as steps,
        steps.run(beg, end) as detected,
    ):
        return list(detected)


def joined(batches: list[list[Any]]) -> list[Any]:
    return [item for batch in batches for item in batch]


def numbers(batches: list[list[Frame]]) -> list[int]:
    return [frame.number for frame in joined(batches)]


def running() -> set[str]:
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith(("prefetch", "convert"))}


@contextmanager
def threads(count: int) -> Iterator[None]:
    with mock.patch.dict("os.environ", OMP_NUM_THREADS=str(count)):
        yield


def test_frames_stay_in_order_whatever_conversion_ends_first(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, rng = DecodedFrame.image, random.Random(0)

    def slow(frame: DecodedFrame) -> Image:
        time.sleep(rng.choice((0, 0, 0.01)))
        return original(frame)

    monkeypatch.setattr(DecodedFrame, "image", slow)
    detector = Reader()
    with threads(7):
        assert numbers(run(film, detector)) == [*range(FRAMES)]
    assert joined(detector.seen) == [*range(FRAMES)]
    assert all(len(batch) == 4 for batch in detector.seen[:-1])


@pytest.mark.parametrize("ring", [1, 2])
def test_a_ring_smaller_than_what_waits_in_the_pool_does_not_block(
    film: Film, ring: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RING", ring)
    with threads(5):
        assert numbers(run(film, Reader(batch_size=3))) == [*range(FRAMES)]
        assert numbers(run(film, Device(Reader(batch_size=16)))) == [*range(FRAMES)]


@pytest.mark.parametrize("error", [OSError("no memory"), LookupError("a bug")])
def test_a_conversion_that_fails_names_its_frame_and_ends_all_threads(
    film: Film, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DecodedFrame.image

    def failing(frame: DecodedFrame) -> Image:
        if frame.number == 17:
            raise error
        return original(frame)

    monkeypatch.setattr(DecodedFrame, "image", failing)
    detector = Reader()
    if isinstance(error, OSError):
        with pytest.raises(InputError, match=r"1-numbers.mp4: frame 17: .*no memory"):
            run(film, detector)
    else:
        with pytest.raises(LookupError, match="a bug") as found:
            run(film, detector)
        assert any("1-numbers.mp4: frame 17" in note for note in found.value.__notes__)
    assert joined(detector.seen) == [*range(16)]
    assert not running()


def test_leaving_the_block_ends_a_reader_that_waits_for_the_ring(film: Film) -> None:
    detector = Reader(batch_size=2, delay=0.05)
    with (
        pytest.raises(ZeroDivisionError),
        frame_steps(film, detector, 1, 1, Profile()) as steps,
        steps.run(0, FRAMES) as detected,
    ):
        next(detected)
        time.sleep(0.3)  # the ring and all queues are full
        raise ZeroDivisionError
    assert not running()
    assert len(detector.seen) < FRAMES // 2


def test_reading_runs_ahead_by_the_ring_and_no_more(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    go, converted = threading.Event(), []
    original = DecodedFrame.image

    def counting(frame: DecodedFrame) -> Image:
        converted.append(frame.number)
        return original(frame)

    monkeypatch.setattr(DecodedFrame, "image", counting)
    detector = Reader(batch_size=2)
    monkeypatch.setattr(detector, "detect", lambda frames: go.wait(30) and [nothing() for _ in frames])
    with frame_steps(film, detector, 1, 1, Profile()) as steps, steps.run(0, FRAMES) as detected:
        time.sleep(0.5)
        assert len(converted) <= 2 * RING
        go.set()
        assert numbers(list(detected)) == [*range(FRAMES)]


def test_frames_without_detection_are_not_converted(film: Film, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []
    original = DecodedFrame.image

    def counting(frame: DecodedFrame) -> Image:
        converted.append(frame.number)
        return original(frame)

    monkeypatch.setattr(DecodedFrame, "image", counting)
    detector = Reader()
    frames = joined(run(film, detector, 7, 40, every=5, save_every=10))
    assert [frame.number for frame in frames] == [*range(7, 40)]
    assert sorted(converted) == joined(detector.seen) == [*range(10, 40, 5)]
    assert all(frame.miniature is not None for frame in frames)
    assert [frame.number for frame in frames if frame.detections is not None] == [*range(10, 40, 5)]
    assert [frame.number for frame in frames if frame.image is not None] == [10, 20, 30]


def test_a_device_gets_planes_in_few_buffers_that_are_not_overwritten_too_early(film: Film) -> None:
    reader = Reader()
    device = Device(reader, in_flight=2)
    with threads(5):
        frames = joined(run(film, device, save_every=9))
    assert joined(reader.seen) == [*range(FRAMES)]
    assert all(device.forms) and device.most_waiting == 3
    assert len(device.allocated) <= RING + 2
    assert set(device.allocated) == {(4, 160 * 120 * 3 // 2)}
    images = dict(read_frames(film, 0, FRAMES))
    assert all(frame.image is None for frame in frames)
    for frame in frames[::9]:  # those that are saved can still be had in RGB
        np.testing.assert_array_equal(frame.rgb(), images[frame.number])


def test_a_device_gets_rgb_where_planes_are_not_enough_and_both_in_one_film(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DecodedFrame.yuv_tables
    monkeypatch.setattr(
        DecodedFrame, "yuv_tables", lambda frame: None if 10 <= frame.number < 23 else original(frame)
    )
    reader = Reader()
    device = Device(reader)
    frames = joined(run(film, device, save_every=9))
    assert [frame.number for frame in frames] == joined(reader.seen) == [*range(FRAMES)]
    assert [10, 11, 12, 13] in reader.seen and [23, 24, 25, 26] in reader.seen
    assert device.forms.count(False) == 4
    np.testing.assert_array_equal(frames[18].rgb(), dict(read_frames(film, 18, 19))[18])


@pytest.fixture(scope="module")
def miniatures(film: Film) -> NDArray[np.uint8]:
    """Those of the host."""
    return np.stack([pixels_of(decoded.reduced()) for decoded in read_decoded(film, 0, FRAMES)])


def made_by_host(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of each frame of which the host makes the miniature."""
    original, made = DecodedFrame.reduced, []

    def counting(frame: DecodedFrame) -> VideoFrame:
        made.append(frame.number)
        return original(frame)

    monkeypatch.setattr(DecodedFrame, "reduced", counting)
    return made


@pytest.mark.parametrize("every", [1, 3])
def test_miniatures_come_from_the_device_where_it_has_the_planes(
    film: Film, miniatures: NDArray[np.uint8], every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host makes that of the first frame, to compare, and those of frames without detection."""
    made, device = made_by_host(monkeypatch), ReducingDevice(Reader(), in_flight=2)
    frames = joined(run(film, device, every=every, save_every=9))
    np.testing.assert_array_equal([frame.miniature for frame in frames], miniatures)
    assert sorted(made) == [0, *(number for number in range(FRAMES) if number % every)]
    assert device.compared == 1 and device.reduced == len(range(0, FRAMES, every))


def test_frames_in_rgb_get_the_miniatures_of_the_host(
    film: Film, miniatures: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DecodedFrame.yuv_tables
    monkeypatch.setattr(
        DecodedFrame, "yuv_tables", lambda frame: None if 10 <= frame.number < 23 else original(frame)
    )
    made, device = made_by_host(monkeypatch), ReducingDevice(Reader())
    frames = joined(run(film, device))
    np.testing.assert_array_equal([frame.miniature for frame in frames], miniatures)
    assert sorted(made) == [0, *range(10, 23)]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]


def test_a_device_with_other_miniatures_is_not_asked_for_them(
    film: Film, miniatures: NDArray[np.uint8], caplog: pytest.LogCaptureFixture
) -> None:
    def off_by_one(found: NDArray[np.uint8]) -> None:
        found[:, 700] ^= 1

    device = ReducingDevice(Reader(), mistake=off_by_one)
    frames = joined(run(film, device, 5))
    np.testing.assert_array_equal([frame.miniature for frame in frames], miniatures[5:])
    assert device.compared == 1 and device.reduced == 0 and all(device.forms)
    (warning,) = warnings_of(caplog)
    assert warning.startswith(f"{film.path}: frame 5: the device's miniatures are not those of FFmpeg")


def test_a_film_that_begins_black_does_not_hide_a_mistake_of_the_device(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Coefficients, positions and rounding of any kind make black of black."""
    black = np.zeros((48, 64, 3), np.uint8)
    film = open_film(make_film(tmp_path / "2-black.mp4", 6, width=64, height=48, draw=lambda *_: black))

    def shifted(found: NDArray[np.uint8]) -> None:
        found[:, 1:48] = found[:, :47].copy()

    frames = joined(run(film, device := ReducingDevice(Reader(), mistake=shifted), 0, 6))
    assert device.compared == 1 and device.reduced == 0 and len(warnings_of(caplog)) == 1
    assert all((frame.miniature[:LUMA_BYTES] == 0).all() for frame in frames)


def film_of_positions(
    path: Path, positions: Sequence[int], frames: int = 6, options: str = "bframes=0", begin: int = 0
) -> Film:
    """Encode colourful noise in parts of `frames` frames, each with another position of chroma samples.

    Args:
        begin: number of the key frame with which the later parts begin.
    """
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.options = {"x264-params": f"chromaloc={positions[0]}:{options}", "crf": "1"}
        shown = 0
        for position in positions:
            encoder: Any = av.CodecContext.create("libx264", "w")
            encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuv420p"
            encoder.time_base = Fraction(1, 25)
            encoder.options = {"x264-params": f"chromaloc={position}:{options}", "crf": "1"}
            packets = []
            for number in range(frames):
                noise = rng.integers(0, 256, (48, 64, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                packets += encoder.encode(frame)
            packets += encoder.encode(None)
            keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
            packets = packets[keys[begin if shown else 0] :]
            shift = shown - min(packet.pts for packet in packets)
            for packet in packets:
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                container.mux(packet)
            shown += len(packets)
    return open_film(path)


def test_chroma_samples_that_change_their_position_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In recordings and films in parts; the key frames here, 6 and 12, are not both for detection."""
    every = 4
    film = film_of_positions(tmp_path / "3-parts.ts", (1, 2, 1))
    expected = [pixels_of(decoded.reduced()) for decoded in read_decoded(film, 0, 18)]
    frames = joined(run(film, device := ReducingDevice(Reader(batch_size=8)), 0, 18, every))
    assert len(frames) == 18
    np.testing.assert_array_equal([frame.miniature for frame in frames], expected)
    assert device.reduced == len(range(0, 18, every)) and device.compared == 2 and not warnings_of(caplog)
    monkeypatch.setattr(device_miniatures, "chroma_position", lambda picture: b"")
    monkeypatch.setattr(reduction, "_found", {})
    frames = joined(run(film, ReducingDevice(Reader(batch_size=8)), 0, 18, every))
    changed = [(one.miniature != right).any() for one, right in zip(frames, expected, strict=True)]
    assert any(changed[6:12]) and not any(changed[:6])  # so that the test would notice


@pytest.mark.parametrize("known", [True, False])
def test_a_position_is_looked_for_once_where_the_header_is_known_and_else_in_each_frame(
    known: bool, film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    original = reduction.chroma_position

    def noted(picture: Any) -> bytes:
        asked.append(picture.pts)
        return original(picture)

    monkeypatch.setattr(device_miniatures, "chroma_position", noted)
    if not known:
        monkeypatch.setattr(Decoding, "header", None)
    run(film, device := ReducingDevice(Reader()), 0, 20)
    assert device.reduced == 20 and len(asked) == (1 if known else 20)


def test_frames_that_are_shown_before_the_header_that_they_were_decoded_with(tmp_path: Path) -> None:
    """Where recordings with open groups of pictures were joined, or frames of a film were lost."""
    film = film_of_positions(
        tmp_path / "3-joined.ts", (1, 2), 18, "open-gop=1:bframes=2:b-adapt=0:keyint=9:scenecut=0", 1
    )
    count = len(film.pts)
    pictures = [decoded.picture for decoded in read_decoded(film, 0, count)]
    keys = [number for number, picture in enumerate(pictures) if picture.key_frame]
    positions = [reduction.chroma_position(picture) for picture in pictures]
    changed = next(number for number in range(count) if positions[number] != positions[0])
    assert changed not in keys, "a frame before the key frame has the position"
    expected = [pixels_of(decoded.reduced()) for decoded in read_decoded(film, 0, count)]
    frames = joined(run(film, ReducingDevice(Reader(batch_size=8)), 0, count))
    np.testing.assert_array_equal([frame.miniature for frame in frames], expected)


def test_shards_of_one_process_share_what_a_device_keeps(film: Film) -> None:
    """Tables, and memory for batches of a form: there is no place for those of each shard."""
    device = ReducingDevice(Reader())
    for beg in range(0, 30, 10):
        run(film, device, beg, beg + 10)
    assert device.compared == 3 and len(device.reductions) == 1


def test_the_host_makes_the_miniatures_of_pictures_that_cannot_be_described(
    film: Film,
    miniatures: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(device_miniatures, "reduction_of", lambda picture, position: None)
    frames = joined(run(film, device := ReducingDevice(Reader())))
    np.testing.assert_array_equal([frame.miniature for frame in frames], miniatures)
    assert device.compared == device.reduced == 0 and len(warnings_of(caplog)) == 1


def test_a_bad_number_in_a_batch_on_a_device_names_its_frame(film: Film) -> None:
    class Broken(Reader):
        def detect(self, frames: Sequence[Image]) -> list[Detections]:
            if 21 in map(number_in, frames):
                raise NonFiniteError("its scores are NaN")
            return super().detect(frames)

    with pytest.raises(NonFiniteError, match=r"1-numbers.mp4: frame 21: its scores are NaN"):
        run(film, Device(Broken()))
    assert not running()


class Apart(Reader):
    """A detector that takes frames with their channels apart."""

    takes_channels = True

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[type] = []

    def detect(self, frames: Sequence[Image | Channels]) -> list[Detections]:
        self.forms += map(type, frames)
        return super().detect([one.image() if isinstance(one, Channels) else one for one in frames])


def test_frames_of_which_nothing_is_saved_come_with_their_channels_apart(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only for a detector that takes them so, and only where the conversion is the same."""
    original = DecodedFrame.channels
    monkeypatch.setattr(
        DecodedFrame, "channels", lambda frame: None if frame.number == 7 else original(frame)
    )
    detector = Apart()
    frames = joined(run(film, detector, save_every=5))
    assert joined(detector.seen) == [*range(FRAMES)]
    whole = [number for number, form in enumerate(detector.forms) if form is not Channels]
    assert whole == sorted([*range(0, FRAMES, 5), 7])
    images = dict(read_frames(film, 0, FRAMES))
    for frame in frames[::5]:
        np.testing.assert_array_equal(frame.rgb(), images[frame.number])
    assert all(frame.channels is None for frame in frames), "their memory is free"
    monkeypatch.setattr(detector, "takes_channels", False)
    run(film, detector)
    assert Channels not in detector.forms[FRAMES:]


STORY = Story(frames=70, cuts=(31,))


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    path = STORY.make(tmp_path_factory.mktemp("toy") / f"{MOVIE}-toy.mp4")
    with threads(1):
        run_merge(folder := run_extract(path, path.parent / "one", 1))
    return path, results(folder)


@pytest.mark.parametrize(("count", "n"), [(3, 1), (7, 7)])
def test_threads_and_shards_change_no_byte(
    toy: tuple[Path, dict[str, bytes]], tmp_path: Path, count: int, n: int
) -> None:
    path, expected = toy
    with threads(count):
        run_merge(folder := run_extract(path, tmp_path, n))
    assert results(folder) == expected


@pytest.mark.parametrize("n", [1, 7])
def test_a_device_changes_no_byte(toy: tuple[Path, dict[str, bytes]], tmp_path: Path, n: int) -> None:
    path, expected = toy
    device = ReducingDevice(ToyDetector())
    loaded = mock.Mock(return_value=device, card=device.card)
    with threads(2), mock.patch("tests.toy.ToyDetector", loaded):
        folder = run_extract(path, tmp_path, n)
    assert all(device.forms) and len(device.forms) > 10
    assert device.compared == n and device.reduced == STORY.frames
    run_merge(folder)
    assert results(folder) == expected
