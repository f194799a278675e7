"""Ranges, times and fingerprints of a plan round-trip."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facerec.errors import InputError
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
