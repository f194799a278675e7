"""Features of a movie: the same files for every number of shards, after kills, and for films with holes."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from facerec.errors import ContractError, InputError, Interrupted, StaleError
from facerec.feature_runs import spans
from facerec.feature_runs.movie_inputs import read_inputs
from facerec.folder.documents import scene_changes_bytes
from facerec.folder.layout import MovieFolder
from facerec.video import film as film_module
from facerec.video.decoded_frame import DecodedFrame
from tests.feature_runs.movies import CUTS, FRAMES, MOVIE, contents, make_movie, run, toy_features
from tests.feature_runs.toys import register

SHOTS = [*zip([0, *CUTS], [*CUTS, FRAMES], strict=True)]


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    register(monkeypatch)
    monkeypatch.setattr(spans, "SHORTEST_UNIT", 15)
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """The folder and the film; each test works on a copy of the folder."""
    return make_movie(tmp_path_factory.mktemp("movie"))


@pytest.fixture
def movie(made, tmp_path) -> tuple[Path, Path]:
    folder = tmp_path / made[0].name
    folder.mkdir()
    (folder / "scene_changes.json").write_bytes((made[0] / "scene_changes.json").read_bytes())
    return folder, made[1]


@pytest.fixture(scope="module")
def whole(made) -> dict[str, bytes]:
    """The results of one process that does everything, one window a batch."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        register(monkeypatch)
        monkeypatch.setattr(spans, "SHORTEST_UNIT", 15)
        counts = run(*made, toy_features(1))
    assert counts == {"finished": 3 * (len(SHOTS) + 1), "failed": 0, "unfinished": 0}
    return contents(made[0])


def entries(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "shot_features" / "index.jsonl").open()]


def test_units_of_work_depend_on_the_film_alone(movie):
    spans = read_inputs(MovieFolder(movie[0]), movie[1]).spans()
    assert [(span.beg, span.end) for span in spans] == [(0, 31), (31, 60), (60, 80), (80, 97)]
    assert [list(span.shots) for span in spans] == [[0, 1, 2], [3], [4, 5], [6]]


def test_outputs_are_the_windows_of_each_shot_and_of_the_film(whole, made):
    folder = made[0] / "shot_features" / "numbers"
    for number, (beg, end) in enumerate(SHOTS):
        found = np.load(folder / f"shot_{number:05d}.npy")
        centres = np.arange(beg, end, 2)
        assert found.dtype == np.float32
        assert found.tolist() == [np.clip(np.arange(c - 4, c + 5), beg, end - 1).tolist() for c in centres]
    film = np.load(folder / "film.npy")
    assert film.tolist() == [np.clip(np.arange(c - 4, c + 5), 0, 96).tolist() for c in range(0, 97, 2)]


def test_shots_of_an_extractor_with_state_are_joined_to_the_film(whole, made):
    film = np.load(made[0] / "shot_features" / "stateful" / "film.npz")
    numbers = [frame for beg, end in SHOTS for frame in range(beg, end, 3)]
    assert film["frames"].tolist() == film["number"].tolist() == numbers
    assert film["tracks"].tolist() == [k for k, (beg, end) in enumerate(SHOTS) for _ in range(beg, end, 3)]


def test_index_has_shots_and_film_in_order_with_their_facts(whole, made):
    found = entries(made[0])
    assert [(entry["feature"], entry["item"]) for entry in found] == [
        (feature, item)
        for feature in ("loudness", "numbers", "stateful")
        for item in [*(f"shot_{k:05d}" for k in range(len(SHOTS))), "film"]
    ]
    numbers = [entry for entry in found if entry["feature"] == "numbers"]
    assert [entry["padded"] for entry in numbers] == [False, True, *[False] * 2, True, *[False] * 3]
    assert [entry["frames"] for entry in numbers] == [*map(list, SHOTS), [0, FRAMES]]
    assert numbers[1]["duration"] == 0.04 and numbers[1]["arrays"]["features"]["shape"] == [1, 9]
    assert numbers[-1]["output"] == "numbers/film.npy"


@pytest.mark.parametrize("n", [1, 3, 7])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_any_number_of_shards_and_batch_size_gives_the_same_files_and_index(movie, whole, n, batch_size):
    for shard in reversed(range(n)):
        counts = run(*movie, toy_features(batch_size), [shard], n)
    assert counts == {"finished": 3 * (len(SHOTS) + 1), "failed": 0, "unfinished": 0}
    assert contents(movie[0]) == whole
    assert not (movie[0] / "shot_features" / ".work" / "parts" / "numbers").exists()


def test_shards_at_work_at_the_same_time_give_the_same_files(movie, whole):
    errors: list[BaseException] = []

    def work(shard: int) -> None:
        try:
            run(*movie, toy_features(), [shard], 4)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(shard,)) for shard in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert contents(movie[0]) == whole


@pytest.mark.parametrize("after", [1, 2, 5, 9, 14])
def test_killed_and_run_again_gives_the_same_files(movie, whole, after, monkeypatch):
    """The process stops when it is about to make its n-th output visible."""
    calls = [0]
    replace = Path.replace

    def dying(self, target):
        if str(target).endswith((".npy", ".npz")):
            calls[0] += 1
            if calls[0] > after:
                raise Interrupted("killed")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        with pytest.raises(Interrupted):
            run(*movie)
    before = {path: path.stat().st_mtime_ns for path in movie[0].rglob("shot_*.np?")}
    run(*movie)
    assert contents(movie[0]) == whole
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())  # nothing is done twice


def test_finished_work_is_not_done_again(movie):
    run(*movie)
    features = toy_features()
    run(*movie, features)
    assert features[0].extractor.batches == []


def test_film_is_decoded_once_for_features_that_are_asked_for_together(movie, monkeypatch):
    decoded = []
    original = film_module.decoded_frames

    def counting(*args):
        for frame in original(*args):
            decoded.append(frame.number)
            yield frame

    monkeypatch.setattr(film_module, "decoded_frames", counting)
    monkeypatch.setattr(spans, "SHORTEST_UNIT", 1500)
    run(*movie)
    assert decoded == [*range(FRAMES)]


def test_frames_that_no_extractor_needs_are_not_converted(movie, monkeypatch):
    converted = []
    original = DecodedFrame.image

    def counting(frame):
        converted.append(frame.number)
        return original(frame)

    monkeypatch.setattr(DecodedFrame, "image", counting)
    features = [toy_features(step=50)[0]]
    features[0].extractor._width = 1
    run(*movie, features)
    assert len(converted) == len({*(beg for beg, _ in SHOTS), 0, 50})


def test_other_settings_are_refused_and_replaced_with_fresh(movie, whole):
    run(*movie)
    other = toy_features()
    other[0].description["settings"] = {"step": 3}
    other[0].extractor._step = 3
    with pytest.raises(StaleError, match=r"options or inputs: settings\.step was 2 and is now 3\. .*--fresh"):
        run(*movie, other)
    assert contents(movie[0]) == whole
    run(*movie, other, fresh=True)
    changed = contents(movie[0])
    assert len(np.load(movie[0] / "shot_features" / "numbers" / "film.npy")) == 33
    assert {name: data for name, data in changed.items() if name.startswith("stateful")} == {
        name: data for name, data in whole.items() if name.startswith("stateful")
    }


def test_other_cuts_are_refused(movie):
    run(*movie)
    (movie[0] / "scene_changes.json").write_bytes(scene_changes_bytes(MOVIE, [50]))
    with pytest.raises(StaleError, match="scene_changes_sha256 was"):
        run(*movie)


def test_failed_shot_is_recorded_does_not_stop_the_rest_and_is_tried_again(movie, whole):
    features = toy_features()
    features[0].extractor._poison = 12
    counts = run(*movie, features)
    assert counts["failed"] == 2 and counts["unfinished"] == 0  # the shot and the film
    reasons = {e["item"]: e["reason"] for e in entries(movie[0]) if e["feature"] == "numbers" and e["reason"]}
    assert reasons == {"shot_00002": "NaN", "film": "NaN"}
    counts = run(*movie)
    assert counts["failed"] == 0 and contents(movie[0]) == whole


def test_failures_of_other_shards_stay_recorded_until_these_shards_run_again(movie, whole):
    """Tasks of an array may run one after the other."""
    for shard in range(3):
        features = toy_features()
        features[0].extractor._poison = 12  # in the first shard's frames
        counts = run(*movie, features, [shard], 3)
    assert counts["failed"] == 2 and counts["unfinished"] == 0
    counts = run(*movie, None, [2], 3)
    assert counts["failed"] == 2 and counts["unfinished"] == 0
    counts = run(*movie, None, [0], 3)
    assert counts["failed"] == 0 and contents(movie[0]) == whole


def test_film_without_sound_has_no_features_of_sound_and_is_no_failure(tmp_path, caplog):
    folder, film = make_movie(tmp_path, audio=False)
    assert run(folder, film) == {"finished": 3 * (len(SHOTS) + 1), "failed": 0, "unfinished": 0}
    silent = [entry for entry in entries(folder) if entry["feature"] == "loudness"]
    assert all(entry["output"] is None and "has no sound" in entry["note"] for entry in silent)
    (line,) = (record.getMessage() for record in caplog.records if "has no sound" in record.getMessage())
    assert line.startswith("movie ") and line.endswith("(no loudness)")  # once, not for each shot
    assert len(np.load(folder / "shot_features" / "numbers" / "film.npy")) == 49


def test_film_of_one_frame(tmp_path):
    folder, film = make_movie(tmp_path, cuts=(), frames=1, audio=False)
    run(folder, film)
    for name in ("shot_00000.npy", "film.npy"):
        assert np.load(folder / "shot_features" / "numbers" / name).tolist() == [[0] * 9]


def test_film_with_a_variable_frame_rate_has_the_duration_of_its_times(tmp_path):
    pts = [0, 1, 2, 10, 11, 30, 31, 32, 60, 61]
    folder, film = make_movie(tmp_path, cuts=(3, 8), frames=10, pts=pts, audio=False)
    run(folder, film)
    durations = {e["item"]: e["duration"] for e in entries(folder) if e["feature"] == "numbers"}
    assert durations["shot_00000"] == 0.4 and durations["shot_00001"] == 2.0
    assert durations["film"] == 2.48


def test_film_with_a_hole_gives_the_same_for_every_number_of_shards(tmp_path, monkeypatch):
    folder, film = make_movie(tmp_path)
    original = film_module.decoded_frames

    def damaged(film, beg, end, threads, wanted=None):  # a film with damage is read without skipping
        return (frame for frame in original(film, beg, end, threads, None) if not 27 <= frame.number < 36)

    monkeypatch.setattr(film_module, "decoded_frames", damaged)
    monkeypatch.setattr(film_module, "last_frame_before", lambda film, beg: next(
        (frame for frame in reversed([*damaged(film, 0, beg, 1)])), None))  # fmt: skip
    run(folder, film)
    first = contents(folder)
    film_rows = np.load(folder / "shot_features" / "numbers" / "film.npy")[:, 4].tolist()
    assert film_rows[13:19] == [26, 26, 26, 26, 26, 36]
    assert np.load(folder / "shot_features" / "numbers" / "shot_00003.npy")[0].tolist() == [36] * 9
    for shard in range(3):
        other = folder.parent / "other" / folder.name
        other.mkdir(parents=True, exist_ok=True)
        (other / "scene_changes.json").write_bytes((folder / "scene_changes.json").read_bytes())
        run(other, film, None, [shard], 3)
    assert contents(other) == first


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (None, InputError, "scene_changes.json: this file must exist.*merge_shards.py"),
        (b"[]", ContractError, "scene_changes.json"),
        (scene_changes_bytes(MOVIE, [500]), InputError, "has a cut at frame 500, but .* has 97 frames"),
    ],
)
def test_cuts_that_are_missing_damaged_or_of_another_film_give_one_line(movie, data, error, message):
    path = movie[0] / "scene_changes.json"
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(error, match=message) as raised:
        run(*movie)
    assert "\n" not in str(raised.value)
    assert not (movie[0] / "shot_features").exists()
