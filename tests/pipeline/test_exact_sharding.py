"""The results do not depend on the number of shards, to the byte."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facerec import extract
from facerec.folder.frame_records import FaceRecord, FrameRecord
from facerec.folder.layout import MovieFolder
from facerec.folder.miniature_archive import MiniatureArchives
from facerec.folder.plan import Plan, read_plan, shard_range
from facerec.folder.records import to_line
from facerec.geometry import KEYPOINTS, MINIATURE_BYTES
from facerec.merging.shard_results import read_detections
from facerec.tracking.tracker import track
from facerec.tracking.trajectories import to_trajectories
from facerec.video.film import open_film, read_frames
from facerec.video.shots import cuts_of, find_transitions
from tests.films import make_film
from tests.miniatures import still, write_stills
from tests.toy import MOVIE, Story, make_cast, results, run_extract, run_merge, run_naming

ALL_N = (1, 2, 3, 7, 64)
OPEN_GOP = {"open_gop": True, "bframes": 3, "gop": 10}

# Of 36 frames in two shards the second begins at frame 18, of three at 12 and 24; of 36 shards every
# frame is a border, so each story also has borders just before, at and just after all of its events.
FRAMES = 36
JUMPY = [40 * i + 13 * (i % 3) + 300 * (i // 20) for i in range(FRAMES)]
STORIES = {
    "border on a cut": ("mp4", Story(FRAMES, cuts=(18,))),
    "border one frame before a cut": ("mp4", Story(FRAMES, cuts=(19,))),
    "border one frame after a cut": ("mp4", Story(FRAMES, cuts=(17,))),
    "border inside a gap of a track": ("mp4", Story(FRAMES, cuts=(9,), unseen=frozenset(range(16, 21)))),
    "border inside a dissolve": ("mp4", Story(FRAMES, cuts=(30,), dissolves=((14, 22),))),
    "cuts closer than a shot": ("mp4", Story(FRAMES, cuts=(11, 17, 24, 29))),
    "open groups of pictures": ("ts", Story(FRAMES, cuts=(13, 25), film=OPEN_GOP)),
    "B-frames": ("mkv", Story(FRAMES, cuts=(12, 24), film={"bframes": 2, "gop": 30})),
    "variable frame rate": (
        "mkv",
        Story(FRAMES, cuts=(21,), film={"pts": JUMPY, "time_base": Fraction(1, 1000)}),
    ),
}


def _evidence(folder: MovieFolder) -> list[dict[str, Any]]:
    """What was seen of each frame, over all shards."""
    plan = read_plan(folder)
    assert plan is not None
    shards = [folder.shard(*plan.range_of(shard)) for shard in range(plan.n)]
    lines = [[json.loads(line) for line in files.frame_records.open()] for files in shards]
    found = MiniatureArchives(
        [(files.miniatures, len(own)) for files, own in zip(shards, lines, strict=True)]
    )
    miniatures = [hashlib.sha256(one.tobytes()).hexdigest() for one in found[:]]
    found.close()
    return [{**line, "miniature": own} for line, own in zip(itertools.chain(*lines), miniatures, strict=True)]


@pytest.mark.parametrize("name", STORIES)
def test_the_number_of_shards_changes_no_byte(name: str, tmp_path: Path) -> None:
    suffix, story = STORIES[name]
    film = story.make(tmp_path / f"{MOVIE}-story.{suffix}")
    folder = run_merge(run_extract(film, tmp_path / "1", 1, "--save-every", "3"))
    whole, seen = results(folder), _evidence(folder)
    assert whole["trajectories.jsonl"].count(b"\n") > len(story.cuts), "nothing is seen, nothing is tested"
    middles = [(first + last) // 2 for first, last in story.dissolves]
    found = [(one["kind"], one["cut"]) for one in json.loads(whole["transitions.json"])["transitions"]]
    assert json.loads(whole["scene_changes.json"])["frame_indices"] == [cut for _, cut in found]
    assert [cut for kind, cut in found if kind == "cut"] == sorted(story.cuts)
    dissolves = [cut for kind, cut in found if kind == "dissolve"]
    assert len(found) == len(story.cuts) + len(dissolves) and len(dissolves) == len(middles)
    assert all(abs(cut - middle) <= 1 for cut, middle in zip(dissolves, middles, strict=True))
    for n in (*ALL_N[1:], FRAMES):
        folder = run_merge(run_extract(film, tmp_path / str(n), n, "--save-every", "3"))
        assert results(folder) == whole and _evidence(folder) == seen, f"N = {n}"
        shutil.rmtree(tmp_path / str(n))


def test_the_number_of_shards_changes_no_cluster_and_no_name(tmp_path: Path) -> None:
    film = Story(FRAMES, cuts=(12, 24)).make(tmp_path / f"{MOVIE}-film.mp4")
    cast = make_cast(tmp_path / "actor_db")
    folders = [run_naming(run_merge(run_extract(film, tmp_path / str(n), n)), cast) for n in ALL_N]
    whole = results(folders[0])
    assert b"actor0" in whole["predictions.json"] and b"actor1" in whole["predictions.json"]
    assert all(results(folder) == whole for folder in folders[1:])


def test_over_a_border_a_gap_splits_no_trajectory_and_a_dissolve_splits_all(tmp_path: Path) -> None:
    for name in ("border inside a gap of a track", "border inside a dissolve"):
        _, story = STORIES[name]
        film = story.make(tmp_path / f"{MOVIE}-{len(name)}.mp4")
        folder = run_merge(run_extract(film, tmp_path / str(len(name)), 2))
        spans = [(r["start"], r["start"] + r["len"]) for r in map(json.loads, folder.trajectories.open())]
        crossing = [span for span in spans if span[0] < 16 and span[1] > 21]
        assert bool(crossing) == (not story.dissolves), f"{name}: {spans}"


@st.composite
def films(
    draw: st.DrawFn,
) -> tuple[list[tuple[int, int, list[tuple[int, int, int, int]]]], list[int]]:
    """What is seen of each decodable frame of a film (number, shot, boxes), and borders of shards."""
    count = draw(st.integers(1, 40))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    people = [(seed.integers(0, 200, 2), seed.integers(-6, 7, 2)) for _ in range(draw(st.integers(0, 5)))]
    lost = draw(st.sets(st.integers(0, count - 1), max_size=5))
    frames: list[tuple[int, int, list[tuple[int, int, int, int]]]] = []
    shot = 0
    for number in sorted(set(range(count)) - lost):
        shot += int(seed.random() < 0.2)
        boxes = set()
        for at, speed in people:
            if seed.random() < 0.8:
                x, y = np.clip(at + speed * number + seed.integers(-3, 4, 2), 0, 300).tolist()
                boxes.add((x, y, x + 30 + int(seed.integers(0, 4)), y + 30))
        frames.append((number, shot, sorted(boxes)))
    borders = draw(st.lists(st.integers(0, count), max_size=8))
    return frames, sorted({0, count, *borders})


def _merge_through_files(root: Path, frames: list, borders: list[int]) -> tuple[bytes, list[int]]:
    """Cuts and trajectories of evidence that was cut at `borders`, written, and read back."""
    folder = MovieFolder(root / f"{MOVIE}-data")
    folder.create()
    ranges = list(pairwise(borders))
    markers = {}
    for shard, (beg, end) in enumerate(ranges):
        mine = [frame for frame in frames if beg <= frame[0] < end]
        files = folder.shard(beg, end)
        evidence = [FrameRecord(n, tuple(FaceRecord(b, 0.9, None) for b in boxes)) for n, _, boxes in mine]
        files.frame_records.write_bytes(b"".join(map(to_line, evidence)))
        write_stills(files.miniatures, (shot for _, shot, _ in mine))
        numbers = [n for n, _, _ in mine]
        own = (
            np.stack([still(shot) for _, shot, _ in mine])
            if mine
            else np.empty((0, MINIATURE_BYTES), np.uint8)
        )
        cuts = cuts_of(find_transitions(np.array(numbers, np.int64), own))
        where, boxes = [n for n, _, found in mine for _ in found], [b for _, _, found in mine for b in found]
        tracks = track(where, np.array(boxes, np.int64).reshape(-1, 4), cuts)
        lines = map(to_line, to_trajectories(tracks, MOVIE, 400, 400))
        files.trajectories.write_bytes(b"".join(lines))
        markers[shard] = {"report": {"skipped": sorted(set(range(beg, end)) - set(numbers))}}
    plan = Plan(MOVIE, {}, {}, borders[-1], len(ranges), {}, {}, ())
    object.__setattr__(plan, "range_of", lambda shard: ranges[shard])
    found = read_detections(folder, plan, markers)
    cuts = cuts_of(find_transitions(found.decoded_frames, found.miniatures))
    found.miniatures.close()
    tracks = track(found.frames, found.boxes, cuts)
    return b"".join(map(to_line, to_trajectories(tracks, MOVIE, 400, 400))), cuts


@settings(max_examples=40, deadline=None)
@given(films())
def test_tracks_and_cuts_do_not_depend_on_where_shards_begin(
    tmp_path_factory: pytest.TempPathFactory, film: tuple[list, list[int]]
) -> None:
    frames, borders = film
    root = tmp_path_factory.mktemp("random")
    whole = _merge_through_files(root / "whole", frames, [borders[0], borders[-1]])
    assert _merge_through_files(root / "parts", frames, borders) == whole
    shutil.rmtree(root)


@given(st.integers(0, 10**6), st.integers(1, 10**4))
@settings(max_examples=200)
def test_every_frame_has_one_owner(frame_count: int, n: int) -> None:
    edges = [shard_range(frame_count, shard, n) for shard in (0, n // 3, n // 2, n - 1)]
    assert edges[0][0] == 0 and edges[-1][1] == frame_count
    for shard in {0, n // 3, n // 2, n - 1} - {n - 1}:
        assert shard_range(frame_count, shard, n)[1] == shard_range(frame_count, shard + 1, n)[0]


# --- real film, real models


def _real(film: Path, n: int, out: Path, models: list[str]) -> dict[str, bytes]:
    words = ["--shard", f"0-{n - 1}", "--n", str(n), "--out", str(out), *models, str(film)]
    assert extract.main(words) == 0
    return results(run_merge(MovieFolder.of_film(out, film)))


def _yunet_and_mobilefacenet(shared: Path) -> list[str]:
    weights = shared / "data/weights"
    detector, embedder = weights / "face_detection_yunet_2026may.onnx", weights / "MobileFaceNet.onnx"
    return ["--detector", f"yunet:{detector}", "--embedder", f"arcface:{embedder}"]


def digest(found: dict[str, bytes]) -> str:
    """One hash for all that annotators and later stages get."""
    total = hashlib.sha256()
    for name, data in sorted(found.items()):
        total.update(f"{name}:{len(data)}:".encode() + data)
    return total.hexdigest()[:16]


def _assert_same(found: dict[str, bytes], whole: dict[str, bytes], what: str) -> None:
    """The same bytes, but for embeddings, which may differ by 1e-4 in cosine."""
    assert found.keys() == whole.keys(), what
    assert all(found[name] == whole[name] for name in whole if name != "features.jsonl"), what
    for one, other in zip(
        map(json.loads, found["features.jsonl"].splitlines()),
        map(json.loads, whole["features.jsonl"].splitlines()),
        strict=True,
    ):
        assert 1 - np.dot(one.pop("embedding"), other.pop("embedding")) <= 1e-4, f"{what}: {one['tag']}"
        assert one == other and one["keypoints"].keys() == set(KEYPOINTS), what


def _clip(shared: Path, number: str) -> Path:
    return next((shared / "data/clips").glob(f"{number}-*"))


def _check(film: Path, tmp_path: Path, counts: tuple[int, ...], models: list[str]) -> None:
    whole: dict[str, bytes] = {}
    for n in counts:
        found = _real(film, n, tmp_path / str(n), models)
        whole = whole or found
        assert len(found) > 4, "no picture, nothing is tested"
        print(f"{film.name} N={n}: {digest(found)} of {len(found)} files")  # noqa: T201 — the table
        _assert_same(found, whole, f"{film.name}, N = {n}")
        shutil.rmtree(tmp_path / str(n))


def test_yunet_and_mobilefacenet_on_variable_frame_rate(shared: Path, tmp_path: Path) -> None:
    _check(_clip(shared, "10006"), tmp_path, (1, 7), _yunet_and_mobilefacenet(shared))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("clip", "counts"),
    [("10001", (*ALL_N, 275)), ("10004", ALL_N), ("10005", ALL_N), ("10006", (*ALL_N, 160))],
)
def test_yunet_and_mobilefacenet_for_every_n(
    shared: Path, tmp_path: Path, clip: str, counts: tuple[int, ...]
) -> None:
    _check(_clip(shared, clip), tmp_path, counts, _yunet_and_mobilefacenet(shared))


@pytest.mark.slow
def test_scrfd_in_tiles_and_mobilefacenet_in_seven_shards(shared: Path, tmp_path: Path) -> None:
    weights = shared / "data/weights"
    models = ["--detector", f"scrfd:{weights / 'scrfd_500m_kps.onnx'}"]
    models += ["--embedder", f"arcface:{weights / 'MobileFaceNet.onnx'}", "--detect-every", "5", "--tiles"]
    _check(_clip(shared, "10006"), tmp_path, (1, 7), models)


@pytest.mark.slow
def test_mtcnn_and_dlib_for_every_n(shared: Path, tmp_path: Path) -> None:
    """On the 32 frames about a cut of a real film, made smaller."""
    film = open_film(_clip(shared, "10001"))
    frames = [cv2.resize(image, (320, 180)) for number, image in read_frames(film, 66, 98) if number >= 66]
    excerpt = make_film(
        tmp_path / "10001-excerpt.mp4", 32, width=320, height=180, draw=lambda n, *_: frames[n]
    )
    models = ["--detector", "mtcnn", "--embedder", "dlib"]
    _check(excerpt, tmp_path, (*ALL_N, 32), models)
