"""Shards into tasks and arrays: no shard lost, none twice, no limit broken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slurm.packing import chunk, pack

SHARDS = st.sets(st.integers(0, 2000), max_size=300)


@given(SHARDS, st.integers(0, 64), st.sets(st.integers(0, 2000), max_size=20))
def test_every_shard_is_in_exactly_one_task(shards: set[int], tasks: int, alone: set[int]) -> None:
    packs = pack(shards, tasks, alone)
    assert sorted(shard for one in packs for shard in one) == sorted(shards)
    assert all(packs) and all(list(one) == sorted(one) for one in packs)


@given(SHARDS, st.integers(1, 64))
def test_packs_are_as_many_as_asked_and_equal_to_within_one(shards: set[int], tasks: int) -> None:
    sizes = [len(one) for one in pack(shards, tasks)]
    assert len(sizes) == min(tasks, len(shards))
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_a_shard_that_failed_before_takes_no_other_with_it() -> None:
    assert pack(range(6), 2, alone={1, 4, 99}) == [(0, 2), (3, 5), (1,), (4,)]


def test_without_a_number_of_tasks_each_shard_has_its_own() -> None:
    assert pack([3, 1, 2], 0) == [(1,), (2,), (3,)]


@given(st.integers(1, 700), st.integers(1, 200), st.integers(1, 500))
def test_no_array_is_above_the_limit_and_together_they_keep_to_the_parallelism(
    count: int, max_array: int, parallelism: int
) -> None:
    packs = pack(range(count), 0)
    chunks = chunk(packs, max_array, parallelism)
    assert [one for part in chunks for one in part.packs] == packs
    assert all(len(part.packs) <= max_array and part.parallelism >= 1 for part in chunks)
    first = [part for part in chunks if part.after is None]
    assert sum(part.parallelism for part in first) == max(parallelism, len(first))
    for position, part in enumerate(chunks):  # what waits has the parallelism of what it waits for
        if part.after is not None:
            assert part.after < position and part.parallelism == chunks[part.after].parallelism


def test_300_tasks_where_arrays_end_at_101_are_three_arrays() -> None:
    assert [(len(c.packs), c.parallelism) for c in chunk(pack(range(300), 0), 101, 64)] == [
        (101, 22),
        (101, 21),
        (98, 21),
    ]
