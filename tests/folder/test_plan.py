"""Ranges, times and fingerprints of a plan round-trip."""

from __future__ import annotations

import shlex
from hashlib import sha256
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import InputError, PlanError
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import (
    Plan,
    format_ranges,
    pack_times,
    parse_ranges,
    planned_film_path,
    read_plan,
    rerun_command,
    shard_range,
    unpack_times,
    write_plan,
)
from facerec.settings import RESULTS_VERSION
from facerec.video.identity import probe_sha256

TIMES = [{"times": [[1, 3]]}, {"times": [[1, 4]]}]


def _plan(**other: object) -> Plan:
    same = {
        "movie_id": 7, "film": {"name": "7-a.mp4"}, "video": TIMES[0], "frame_count": 30, "n": 4,
        "settings": {"save_every": 5}, "models": {"detector": {"kind": "toy"}}, "notes": ("x",),
    }  # fmt: skip
    return Plan(**{**same, **other})  # type: ignore[arg-type]


@given(st.sets(st.integers(0, 2000)))
def test_ranges_round_trip(shards: set[int]) -> None:
    if shards:
        assert parse_ranges(format_ranges(shards), 2001) == sorted(shards)
    else:
        assert format_ranges(shards) == ""


@pytest.mark.parametrize(
    "text", ["", "a", "1-", "-1", "1--2", "1;2", "²", "1 2", "9" * 30, "5-1", "4", "0-4", "1,"]
)
def test_invalid_ranges_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--shard"):
        parse_ranges(text, 4)


def test_the_message_about_ranges_says_what_is_wrong() -> None:
    for text, said in (
        ("3-2", "in 3-2 the first"),
        ("0,4", "with --n 4 the shards are 0 to 3"),
        ("x", "such as"),
    ):
        with pytest.raises(InputError, match=said):
            parse_ranges(text, 4)
    assert parse_ranges("3-3", 4) == [3]
    assert parse_ranges("999999999", 10**9) == [999_999_999]


def test_ranges_may_overlap_and_have_spaces() -> None:
    assert parse_ranges("0-2, 1,3", 4) == [0, 1, 2, 3]


@given(st.integers(0, 400), st.integers(1, 500))
def test_shards_cover_every_frame_once(frames: int, n: int) -> None:
    ranges = [shard_range(frames, shard, n) for shard in range(n)]
    assert [frame for beg, end in ranges for frame in range(beg, end)] == list(range(frames))
    assert max(end - beg for beg, end in ranges) - min(end - beg for beg, end in ranges) <= 1


@given(st.lists(st.integers(-(2**40), 2**40), max_size=60, unique=True).map(sorted))
def test_packed_times_round_trip(times: list[int]) -> None:
    assert unpack_times(pack_times(np.array(times, np.int64))).tolist() == times


def test_times_of_a_constant_frame_rate_are_short() -> None:
    assert len(pack_times(np.arange(1000, 180_000_000, 1001, dtype=np.int64))) <= 3


def test_packed_times_are_runs_of_equal_steps() -> None:
    """Plans and their fingerprints have them, so they must not change between releases."""
    for times, runs in (([0, 2, 4, 9], [[0, 1], [2, 2], [5, 1]]), ([5, 10, 15], [[5, 3]]), ([-1], [[-1, 1]]),
                        ([0, 1, 3, 4], [[0, 1], [1, 1], [2, 1], [1, 1]]), ([], [])):  # fmt: skip
        assert pack_times(np.array(times, np.int64)) == runs


def test_a_plan_round_trips_with_its_fingerprint(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()
    assert read_plan(folder) is None
    assert write_plan(folder, _plan(), Path("films/7-a b.mp4"), ["--detector", "toy"])
    assert not write_plan(folder, _plan(n=5), Path("other"), [])
    plan = read_plan(folder)
    assert plan is not None and plan == _plan() and plan.fingerprint == _plan().fingerprint
    command = rerun_command(folder, plan, [0, 2, 3])
    assert "extract.py --shard 0,2-3 --n 4" in command and command.endswith(
        f"'{Path('films/7-a b.mp4').absolute()}'"
    )


@pytest.mark.parametrize(
    "other",
    [
        {"n": 5},
        {"frame_count": 31},
        {"movie_id": 8},
        {"film": {"name": "7-b.mp4"}},
        {"video": TIMES[1]},
        {"settings": {"save_every": 4}},
        {"models": {"detector": {"kind": "mtcnn"}}},
        {"notes": ()},
        {"results_version": RESULTS_VERSION + 1},
    ],
)
def test_whatever_differs_changes_the_fingerprint_and_is_named(other: dict[str, object]) -> None:
    changed = _plan(**other)
    assert changed.fingerprint != _plan().fingerprint
    (difference,) = changed.differences({k: v for k, v in _plan().to_json().items() if k in other})
    assert next(iter(other)) in difference and " in the plan, but " in difference


def test_another_release_with_the_same_results_has_the_same_fingerprint() -> None:
    assert _plan(program="facerec 9.9").fingerprint == _plan().fingerprint


def test_a_plan_of_0_1_0_is_read(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()
    write_plan(folder, _plan(), Path("7.mp4"), [])
    record = orjson.loads(folder.plan.read_bytes())
    del record["run"]["results_version"]
    film = {key: value for key, value in record["run"]["film"].items() if key != "mtime_ns"}
    text = orjson.dumps({**record["run"], "film": film}, option=orjson.OPT_SORT_KEYS)
    record["fingerprint"] = sha256(text).hexdigest()
    folder.plan.write_bytes(orjson.dumps(record))
    plan = read_plan(folder)
    assert plan is not None and plan.results_version is None and plan.fingerprint == record["fingerprint"]


def written(tmp_path: Path, options: tuple[str, ...] = ("--save-every", "5")) -> MovieFolder:
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()
    write_plan(folder, _plan(), Path("/films/7.mp4"), options)
    return folder


def test_the_file_of_a_plan_is_the_same_whoever_writes_it(tmp_path: Path) -> None:
    """Tasks of two machines, with dictionaries in other orders."""
    folder = written(tmp_path)
    first = folder.plan.read_bytes()
    record = orjson.loads(first)
    assert record["command"] == {"film": "/films/7.mp4", "options": ["--save-every", "5"]}
    assert record["fingerprint"] == _plan().fingerprint and record["run"]["n"] == 4
    assert first == orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def test_the_command_of_missing_shards_is_that_of_the_plan(tmp_path: Path) -> None:
    folder = written(tmp_path)
    words = shlex.split(rerun_command(folder, _plan(), [3, 0, 2]))
    assert words[-10].endswith("/extract.py")
    assert words[-9:] == [
        "--shard", "0,2-3", "--n", "4", "--out", str(tmp_path), "--save-every", "5", "/films/7.mp4"
    ]  # fmt: skip


def test_values_that_differ_are_named_with_their_place_and_long_ones_shortened() -> None:
    plan = _plan(settings={"model": {"name": "a" * 40, "hash": "b" * 41}, "k": 1})
    requested = {"settings": {"model": {"name": "x", "hash": "y"}, "k": 1}, "n": 5, "more": 1, "movie_id": 7}
    assert plan.differences(requested) == [
        f"settings model name is {'a' * 40} in the plan, but x was requested",
        "settings model hash is bbbbbbbbbbbb… in the plan, but y was requested",
        "n is 4 in the plan, but 5 was requested",
        "more is None in the plan, but 1 was requested",
    ]
    assert plan.differences({"settings": 3}) == [
        f"settings is {str(dict(plan.settings))[:12]}… in the plan, but 3 was requested"
    ]


@pytest.mark.parametrize(
    ("video", "size"),
    [({"display_size": [640, 360]}, (640, 360)), ({"display_size": [640]}, None),
     ({"display_size": [1, 2, 3]}, None), ({"display_size": "ab"}, None), ({}, None)],
)  # fmt: skip
def test_the_display_size_is_two_numbers_or_unknown(video: dict[str, object], size: object) -> None:
    assert _plan(video=video).display_size == size


@pytest.mark.parametrize(
    ("version", "other", "miniatures"),
    [
        (None, True, False),
        (1, True, False),
        (RESULTS_VERSION, False, True),
        (RESULTS_VERSION + 1, True, True),
    ],
)
def test_the_version_of_the_results_tells_what_shards_hold(
    version: int | None, other: bool, miniatures: bool
) -> None:
    plan = _plan(results_version=version)
    assert (plan.is_of_other_results, plan.has_miniatures) == (other, miniatures)
    assert ("results_version" in plan.to_json()) == (version is not None)


def test_a_copy_of_the_film_is_the_same_film() -> None:
    one, copy = (_plan(film={"name": "7-a.mp4", "mtime_ns": time}) for time in (1, 2))
    assert one.fingerprint == copy.fingerprint == _plan(film={"name": "7-a.mp4"}).fingerprint


def test_a_plan_of_0_1_0_stands_for_its_release() -> None:
    one, other = (_plan(results_version=None, program=f"facerec {release}") for release in ("0.1.0", "0.1.1"))
    assert one.fingerprint != other.fingerprint


RUN = {
    "movie_id": "7", "film": [], "video": None, "frame_count": 30.0, "n": True, "settings": [], "models": 1,
    "notes": {}, "program": 1, "results_version": "2",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *(({"run": {name: value}}, name) for name, value in RUN.items()),
        ({"run": {"n": 0}}, "must be positive"), ({"run": {"n": -1}}, "must be positive"),
        ({"run": {"frame_count": -1}}, "must be positive"),
        ({"run": {"n": 5}}, "edited"), ({"fingerprint": "0" * 64}, "edited"), ({"run": {"more": 1}}, "more"),
        ({"more": 1}, "more"), ({"command": {"more": 1}}, "more"),
        ({"command": {"options": "--n"}}, "strings"), ({"command": {"options": [1]}}, "strings"),
        ({"command": {"options": ["--n", None]}}, "strings"), ({"command": {"film": 7}}, "strings"),
    ],
)  # fmt: skip
def test_a_damaged_plan_is_refused_with_the_way_out(
    change: dict[str, object], said: str, tmp_path: Path
) -> None:
    folder = written(tmp_path)
    record = orjson.loads(folder.plan.read_bytes())
    for key, value in change.items():
        record[key] = {**record[key], **value} if isinstance(value, dict) else value
    folder.plan.write_bytes(orjson.dumps(record))
    with pytest.raises(PlanError, match=rf"{said}.*start the extraction again with --fresh"):
        read_plan(folder)


def test_a_plan_of_an_empty_film_is_read(tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()
    write_plan(folder, _plan(frame_count=0, n=1), Path("/films/7.mp4"), [])
    assert read_plan(folder) == _plan(frame_count=0, n=1)


def test_the_probe_depends_on_the_films_size_and_both_ends(tmp_path: Path) -> None:
    data = bytearray(3 << 20)
    probes = set()
    for change in (None, 0, len(data) - 1):
        if change is not None:
            data[change] ^= 1
        (tmp_path / "film").write_bytes(data)
        probes.add(probe_sha256(tmp_path / "film"))
    (tmp_path / "film").write_bytes(data + b"\0")
    probes.add(probe_sha256(tmp_path / "film"))
    assert len(probes) == 4


@pytest.mark.parametrize(("frames", "n"), [(30, 4), (7, 7), (10, 3), (1, 1), (101, 10)])
def test_every_frame_is_in_its_shard(frames: int, n: int) -> None:
    plan = _plan(frame_count=frames, n=n)
    for shard in range(n):
        assert {plan.shard_of(frame) for frame in range(*plan.range_of(shard))} == {shard}


@pytest.mark.parametrize("name", ["7-a.mp4", "7-é.mp4"])
def test_a_plan_says_where_the_film_was(name: str, tmp_path: Path) -> None:
    folder = MovieFolder(tmp_path / "7-data")
    folder.create()
    write_plan(folder, _plan(), tmp_path / name, [])
    assert planned_film_path(folder) == tmp_path / name
