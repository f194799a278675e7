"""Shards in tasks and tasks in arrays: each shard once, within all limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slurm.packing import pack, split_into_arrays

SHARDS = st.sets(st.integers(0, 2000), max_size=300)


@given(SHARDS, st.integers(0, 64), st.sets(st.integers(0, 2000), max_size=20))
def test_every_shard_is_in_exactly_one_task(shards: set[int], tasks: int, isolated: set[int]) -> None:
    packs = pack(shards, tasks, isolated)
    assert sorted(shard for task in packs for shard in task) == sorted(shards)
    assert all(packs) and all(list(task) == sorted(task) for task in packs)


@given(SHARDS, st.integers(1, 64))
def test_packs_are_as_many_as_requested_and_differ_by_at_most_one(shards: set[int], tasks: int) -> None:
    sizes = [len(task) for task in pack(shards, tasks)]
    assert len(sizes) == min(tasks, len(shards))
    assert not sizes or max(sizes) - min(sizes) <= 1


def test_isolated_shards_get_tasks_of_their_own() -> None:
    assert pack(range(6), 2, isolated={1, 4, 99}) == [(0, 2), (3, 5), (1,), (4,)]


def test_without_a_number_of_tasks_each_shard_gets_one() -> None:
    assert pack([3, 1, 2], 0) == [(1,), (2,), (3,)]


@given(st.integers(1, 700), st.integers(1, 200), st.integers(1, 500))
def test_arrays_respect_the_limit_and_together_the_parallelism(
    count: int, max_array: int, parallelism: int
) -> None:
    packs = pack(range(count), 0)
    arrays = split_into_arrays(packs, max_array, parallelism)
    assert [task for array in arrays for task in array.packs] == packs
    assert all(len(array.packs) <= max_array and array.parallelism >= 1 for array in arrays)
    first = [array for array in arrays if array.after is None]
    assert sum(array.parallelism for array in first) == max(parallelism, len(first))
    for index, array in enumerate(arrays):  # an array has the parallelism of the one it waits for
        if array.after is not None:
            assert array.after < index and array.parallelism == arrays[array.after].parallelism


def test_300_tasks_with_a_limit_of_101_are_three_arrays() -> None:
    assert [(len(c.packs), c.parallelism) for c in split_into_arrays(pack(range(300), 0), 101, 64)] == [
        (101, 22),
        (101, 21),
        (98, 21),
    ]
