"""Distribute shards over tasks, and tasks over arrays."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

Pack = tuple[int, ...]  # the shards of one task, ascending


def pack(shards: Collection[int], tasks: int, isolated: Collection[int] = ()) -> list[Pack]:
    """Distribute `shards` over at most `tasks` tasks of consecutive shards; sizes differ by at most one.

    Args:
        tasks: number of tasks; 0 for one task per shard.
        isolated: shards that failed before. Each gets a task of its own, after the others, so that another
            failure affects no other shard.
    """
    alone = sorted(set(shards) & set(isolated))
    together = sorted(set(shards) - set(isolated))
    count = min(len(together), tasks) if tasks else len(together)
    bounds = [len(together) * i // count for i in range(count + 1)] if count else []
    packs = [tuple(together[beg:end]) for beg, end in pairwise(bounds)]
    return packs + [(shard,) for shard in alone]


@dataclass(frozen=True)
class Array:
    """One array of a submission.

    Attributes:
        packs: the shards of its tasks.
        parallelism: number of its tasks that may run at once.
        after: index of the array that must end before this one starts; None to start at once.
    """

    packs: Sequence[Pack]
    parallelism: int
    after: int | None


def split_into_arrays(packs: Sequence[Pack], max_array: int, parallelism: int) -> list[Array]:
    """Split tasks into arrays of at most `max_array` tasks, of which `parallelism` run at once in total.

    SLURM limits the running tasks of each array separately, so the arrays share `parallelism`. If there are
    more arrays than tasks that may run at once, the later arrays wait until an earlier one has ended.
    """
    offsets = range(0, len(packs), max_array)
    lanes = max(1, min(parallelism, len(offsets)))
    return [
        Array(
            packs=packs[offset : offset + max_array],
            parallelism=parallelism // lanes + (index % lanes < parallelism % lanes),
            after=index - lanes if index >= lanes else None,
        )
        for index, offset in enumerate(offsets)
    ]
