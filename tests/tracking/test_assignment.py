"""The links that are chosen among rivals are the best ones."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from facerec.tracking import assignment
from facerec.tracking.assignment import assign


@pytest.mark.parametrize("limit", [assignment._MAX_TABLE, 0], ids=["dense", "sparse"])
def test_no_other_choice_of_links_gains_more(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared with all choices, in films of several components and of gains that hardly differ."""
    monkeypatch.setattr(assignment, "_MAX_TABLE", limit)
    rng = np.random.default_rng(1)
    orders = np.array(list(permutations(range(6))))
    for density in (0.15, 0.25, 0.35, 0.6) * 12:
        gains = rng.integers(1, 9, (6, 6)) * (rng.random((6, 6)) < density)
        i, j = rng.permutation(np.argwhere(gains)).T
        a, b = assign(10 * i + 7, 10 * j + 3, gains[i, j] / 1e6)
        ends, starts = (a - 7) // 10, (b - 3) // 10
        assert len(set(ends)) == len(set(starts)) == len(a)
        assert gains[ends, starts].all(), "a link that was no candidate"
        assert gains[ends, starts].sum() == gains[np.arange(6), orders].sum(1).max()
