"""The engine: one decoding for all clips and features, and results that do not depend on batches or holes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from facerec.errors import FacerecError, InputError, NonFiniteError
from facerec.feature_runs.engine import FeatureEngine
from facerec.feature_runs.rows import OutputFormat, Rows
from facerec.feature_runs.sources import ClipRequest, NoSoundError
from tests.feature_runs.toys import Loudness, Numbers, Stateful, ToyFootage, register

SHOTS = [ClipRequest("a", 0, 11), ClipRequest("b", 11, 12), ClipRequest("c", 12, 40)]
FILM = ClipRequest("film", 0, 40)


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    register(monkeypatch)


def compute(
    extractors, footage, clips, features: Sequence[str] | None = None, flush=True, format=None
) -> dict[Any, Any]:
    """Return what the engine hands over: arrays, or the error."""
    found: dict[Any, Any] = {}

    def finished(clip: ClipRequest, feature: str, rows: Rows | FacerecError) -> None:
        assert (clip.name, feature) not in found
        if isinstance(rows, Rows):
            found[clip.name, feature] = {name: rows.array(name) for name in rows.shapes}
            found[clip.name, feature, "padded"] = rows.padded
        else:
            found[clip.name, feature] = rows

    engine = FeatureEngine(extractors, format)
    engine.compute(footage, clips, list(features or extractors), finished, lambda _: None)
    if flush:
        engine.flush()
    return found


def test_film_is_decoded_once_for_all_clips_and_features():
    footage = ToyFootage(40)
    found = compute({"numbers": Numbers(), "stateful": Stateful()}, footage, [*SHOTS, FILM])
    assert footage.reads == [(0, 40)]
    assert found["a", "numbers"]["features"][:, 0].tolist() == [0, 2, 4, 6, 8, 10]
    assert found["b", "numbers"]["features"][:, 0].tolist() == [11]
    assert found["c", "numbers"]["features"][:, 0].tolist() == list(range(12, 40, 2))
    assert found["film", "numbers"]["features"][:, 0].tolist() == list(range(0, 40, 2))
    assert found["c", "stateful"]["number"].tolist() == list(range(12, 40, 3))
    assert found["c", "stateful"]["frames"].tolist() == list(range(0, 28, 3))


def test_frames_that_no_extractor_needs_are_not_converted():
    footage, numbers = ToyFootage(40), Numbers(step=10)
    compute({"numbers": numbers}, footage, [FILM, ClipRequest("b", 15, 35)])
    assert footage.converted == sorted({0, 10, 20, 30, 15, 25})
    assert numbers.prepared == footage.converted  # also for several clips only once


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 64])
def test_results_do_not_depend_on_the_batch_size(batch_size):
    numbers = Numbers(batch_size, width=5)
    found = compute({"numbers": numbers}, ToyFootage(40), [*SHOTS, FILM])
    reference = compute({"numbers": Numbers(1, width=5)}, ToyFootage(40), [*SHOTS, FILM])
    assert found.keys() == reference.keys()
    for key in (("a", "numbers"), ("b", "numbers"), ("c", "numbers"), ("film", "numbers")):
        assert found[key]["features"].tolist() == reference[key]["features"].tolist()
    assert max(numbers.batches[:-1], default=1) <= batch_size


def test_windows_of_different_clips_share_batches():
    numbers = Numbers(batch_size=8)
    compute({"numbers": numbers}, ToyFootage(40), SHOTS)
    assert numbers.batches == [8, 8, 5]


@pytest.mark.parametrize("borders", [(0, 40), (0, 7, 40), (0, 1, 2, 20, 39, 40)])
def test_a_film_s_windows_are_those_of_its_parts_in_order(borders):
    whole = compute({"numbers": Numbers(width=7, step=1)}, ToyFootage(40), [FILM])["film", "numbers"]
    rows = []
    for beg, end in pairwise(borders):
        footage = ToyFootage(40)
        part = ClipRequest("film", 0, 40, owned=(beg, end))
        found = compute({"numbers": Numbers(width=7, step=1), "stateful": Stateful()}, footage, [part])
        assert ("film", "stateful") not in found  # shots have it
        rows.append(found["film", "numbers"]["features"])
        assert footage.reads == [(max(beg - 3, 0), min(end + 3, 40))]
    assert np.concatenate(rows).tolist() == whole["features"].tolist()


def test_a_hole_is_filled_with_the_frame_before_it_inside_the_clip_else_the_one_after():
    footage = ToyFootage(40, missing=[4, 5, 12, 13, 14, 39])
    found = compute({"numbers": Numbers(step=1), "stateful": Stateful()}, footage, [*SHOTS, FILM])
    numbers = {name: found[name, "numbers"]["features"][:, 0].tolist() for name in ("a", "b", "c", "film")}
    assert numbers["a"] == [0, 1, 2, 3, 3, 3, 6, 7, 8, 9, 10]
    assert numbers["b"] == [11]
    assert numbers["c"] == [15, 15, 15, *range(15, 39), 38]
    assert numbers["film"] == [*numbers["a"], 11, 11, 11, 11, *range(15, 39), 38]
    assert found["c", "stateful"]["number"].tolist() == [15, *range(15, 37, 3), 38]


def test_part_of_a_film_that_begins_in_a_hole_takes_the_frame_before_it():
    whole = compute({"numbers": Numbers(step=1)}, ToyFootage(40, [20, 21]), [FILM])["film", "numbers"]
    part = ClipRequest("film", 0, 40, owned=(20, 30))
    found = compute({"numbers": Numbers(step=1)}, ToyFootage(40, [20, 21]), [part])["film", "numbers"]
    assert found["features"].tolist() == whole["features"][20:30].tolist() and found["features"][0, 0] == 19


def test_clip_without_a_decodable_frame_fails_alone():
    clips = [ClipRequest("a", 0, 10), ClipRequest("b", 10, 15), ClipRequest("c", 15, 40)]
    found = compute(
        {"numbers": Numbers(), "stateful": Stateful()}, ToyFootage(40, missing=range(10, 15)), clips
    )
    assert isinstance(found["b", "numbers"], InputError) and isinstance(found["b", "stateful"], InputError)
    assert len(found["a", "numbers"]["features"]) == 5 and len(found["c", "numbers"]["features"]) == 13


def test_nan_fails_its_clip_and_no_other_in_the_batch():
    found = compute({"numbers": Numbers(batch_size=64, poison=16)}, ToyFootage(40), [*SHOTS, FILM])
    assert isinstance(found["c", "numbers"], NonFiniteError)
    assert isinstance(found["film", "numbers"], NonFiniteError)
    assert len(found["a", "numbers"]["features"]) == 6 and len(found["b", "numbers"]["features"]) == 1


class Thousands(Numbers):
    def forward(self, windows):
        return [{"features": 3000 * row["features"]} for row in super().forward(windows)]


def test_values_too_large_for_16_bits_fail_their_clip_instead_of_becoming_infinite():
    found = compute(
        {"numbers": Thousands(batch_size=5)}, ToyFootage(40), SHOTS, format=OutputFormat(float16=True)
    )
    assert found["a", "numbers"]["features"][:, 0].tolist() == [0, 6000, 12000, 18000, 24000, 30000]
    assert isinstance(found["c", "numbers"], NonFiniteError)
    assert "has the value 66000, too large for 16 bits; omit --float16" in str(found["c", "numbers"])


def test_clip_shorter_than_a_window_is_padded_and_says_so():
    found = compute({"numbers": Numbers(width=5)}, ToyFootage(40), SHOTS)
    assert found["b", "numbers"]["features"].tolist() == [[11] * 5]
    assert found["b", "numbers", "padded"] and not found["c", "numbers", "padded"]


def test_failed_footage_leaves_nothing_behind_in_later_batches():
    class Broken(ToyFootage):
        def frames(self, beg, end, wanted):
            for frame in super().frames(beg, end, wanted):
                if frame[0] == 20:
                    raise InputError("broken")
                yield frame

    numbers = Numbers(batch_size=64)
    engine = FeatureEngine({"numbers": numbers})
    results: list[Any] = []

    def finished(clip, feature, rows):
        results.append((clip.name, rows.array("features")[:, 0].tolist()))

    with pytest.raises(InputError, match="broken"):
        engine.compute(Broken(40), [ClipRequest("broken", 0, 40)], ["numbers"], finished, lambda _: None)
    engine.compute(ToyFootage(6), [ClipRequest("whole", 0, 6)], ["numbers"], finished, lambda _: None)
    engine.flush()
    assert results == [("whole", [0, 2, 4])] and numbers.batches == [3]


def test_batches_are_shared_by_calls_and_progress_counts_every_frame():
    numbers, read = Numbers(batch_size=4), []
    engine = FeatureEngine({"numbers": numbers})
    results: list[str] = []
    for name in ("one", "two", "three"):
        engine.compute(
            ToyFootage(6),
            [ClipRequest(name, 0, 6)],
            ["numbers"],
            lambda clip, feature, rows: results.append(clip.name),
            read.append,
        )
    assert results == ["one", "two"]
    engine.flush()
    assert results == ["one", "two", "three"] and numbers.batches == [4, 4, 1] and sum(read) == 18


def test_sound_is_read_once_and_cut_by_the_frames_of_the_clips():
    found = compute({"loudness": Loudness()}, ToyFootage(40, sound=4.05), [*SHOTS, FILM])
    samples = np.arange(4000, dtype=np.float32) / 1000

    def sums(beg: int, end: int) -> list[float]:
        return [samples[k : min(k + 100, end)].sum().item() for k in range(beg, end + 1, 100)]

    for name, beg, end in (("a", 0, 1100), ("b", 1100, 1200), ("c", 1200, 4000), ("film", 0, 4000)):
        rows = found[name, "loudness"]["features"]
        assert rows.shape[0] == 1 and rows[0].tolist() == pytest.approx(sums(beg, end))


def test_footage_without_sound_and_clips_beyond_its_sound_have_none():
    silent = compute({"loudness": Loudness(), "numbers": Numbers()}, ToyFootage(40), SHOTS)
    assert all(isinstance(silent[name, "loudness"], NoSoundError) for name in "abc")
    assert len(silent["a", "numbers"]["features"]) == 6
    short = compute({"loudness": Loudness()}, ToyFootage(40, sound=1.15), SHOTS)
    assert isinstance(short["c", "loudness"], NoSoundError)
    assert short["b", "loudness"]["features"].shape == (1, 1)


def test_transposed_rows_are_written_as_they_read_back():
    rows = FeatureEngine({"loudness": Loudness()}).new_rows("loudness")
    rows.append({"features": np.arange(6, dtype=np.float32).reshape(3, 2)})
    rows.append({"features": np.arange(4, dtype=np.float32).reshape(2, 2)})
    file = io.BytesIO()
    rows.write(file)
    written = np.load(io.BytesIO(file.getvalue()))
    assert written.tolist() == [[0, 2, 4, 0, 2], [1, 3, 5, 1, 3]] == rows.array().tolist()
    assert rows.shapes == {"features": (2, 5)}
