"""Shards into tasks, tasks into arrays: numbers only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

Pack = tuple[int, ...]  # the shards of one task, ascending


def pack(shards: Collection[int], tasks: int, alone: Collection[int] = ()) -> list[Pack]:
    """Spread `shards` over at most `tasks` tasks of neighbouring shards, sizes equal to within one.

    Args:
        tasks: how many tasks; 0 makes a task of every shard.
        alone: shards that failed before; each gets a task of its own, after the others, so that
            whatever it does to its task it does to nobody else.
    """
    suspects = sorted(set(shards) & set(alone))
    good = sorted(set(shards) - set(alone))
    count = min(len(good), tasks) if tasks else len(good)
    bounds = [len(good) * i // count for i in range(count + 1)] if count else []
    packs = [tuple(good[beg:end]) for beg, end in pairwise(bounds)]
    return packs + [(shard,) for shard in suspects]


@dataclass(frozen=True)
class Chunk:
    """One array of a submission that is too large for one.

    Attributes:
        packs: its tasks.
        parallelism: how many of its tasks may run at once.
        after: the chunk (by position) that must have ended before this one begins, None for none.
    """

    packs: Sequence[Pack]
    parallelism: int
    after: int | None


def chunk(packs: Sequence[Pack], max_array: int, parallelism: int) -> list[Chunk]:
    """Cut a submission into arrays of at most `max_array` tasks that together keep to `parallelism`.

    SLURM limits what runs at once for each array by itself, so the arrays share what is allowed; where
    there are more arrays than may run tasks at once, the later ones wait for an earlier one's end.
    """
    offsets = range(0, len(packs), max_array)
    lanes = max(1, min(parallelism, len(offsets)))
    return [
        Chunk(
            packs=packs[offset : offset + max_array],
            parallelism=parallelism // lanes + (position % lanes < parallelism % lanes),
            after=position - lanes if position >= lanes else None,
        )
        for position, offset in enumerate(offsets)
    ]
