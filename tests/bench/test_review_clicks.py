"""The simulated annotator counts the clicks that the text says, with the queue of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.clusters import Episode
from bench.review_clicks import Case, add_scripts, backend_clicks, people_needed, review_clicks, table
from facerec.folder.records import Trajectory

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all


def case(who: list[str], labels: list[int], shown: dict[int, str] | None = None, near: Any = ()) -> Case:
    """An episode of trajectories of 10 frames, each in a shot of its own; two pictures each."""
    tracks = [
        Trajectory(i, 0, 100 * i, np.tile([0, 0, 50, 50], (10, 1)), np.ones(10, bool), 640, 360)
        for i in range(len(who))
    ]
    n = max(labels) + 1
    cast = sorted({name for name in who if not name.startswith("?")})
    names = [[[shown[k], 0.95]] if shown and k in shown else [] for k in range(n)]
    review = {
        "near": [[], *[[] for _ in range(n - 1)]],
        "links": [[] for _ in who],
        "names": names,
        "poor": [],
    }
    for one, other, ratio in near:
        review["near"][one] += [other, ratio]
    data = {
        "movie": 0, "clusters": n, "cast": [[name, name] for name in cast], "cluster": labels,
        "seconds": [0.4] * len(who), "tags": [[f"{i}:0", f"{i}:1"] for i in range(len(who))],
        "review": {**review, "shots": list(range(0, 100 * len(who), 100))},
    }  # fmt: skip
    episode = Episode("e", tracks, [None if name.startswith("?") else name for name in who], [])
    return Case(episode, who, np.full(len(who), 10), np.array(labels), shown or {}, data)


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    opened = browser.new_page()
    add_scripts(opened)
    yield opened
    opened.close()


def test_backend_counts_pages_and_pictures_of_others_in_the_order_of_ids() -> None:
    made = case(["ada", "ada", "ada", "bob", "?3", "eve"], [0, 0, 0, 0, 1, 2])
    assert backend_clicks(made, 0.5) == 1 + 2  # a page, and both pictures of bob on it
    assert backend_clicks(made, 0.8) == 1 + 2 + 1 + 1  # the page of a nobody counts too
    assert backend_clicks(made, 0.99) is None  # bob's pictures get no name


def test_people_needed_are_the_longest_on_screen() -> None:
    made = case(["ada", "ada", "bob", "?3", "?4"], [0, 0, 1, 2, 3])
    assert [people_needed(made, goal) for goal in (0.6, 0.7, 0.99)] == [1, 2, 2]


def test_review_counts_names_and_appearances_that_leave(page: Any) -> None:
    made = case(["ada", "ada", "ada", "bob", "?3", "eve"], [0, 0, 0, 0, 1, 2])
    assert review_clicks(made, 0.5, page) == 1 + 1  # ada's name, and bob's appearance that leaves
    # then bob, eve and the nobody are asked one by one; the nobody may come before one of them
    assert review_clicks(made, 0.99, page) in (4, 5)


def test_several_groups_are_confirmed_with_one_click_and_one_for_each_wrong_one(page: Any) -> None:
    names = {0: "ada", 1: "ada", 2: "ada", 3: "ada"}
    assert review_clicks(case(["ada"] * 4, [0, 1, 2, 3], names), 0.99, page) == 0  # shown already
    wrong = case(["bob", "ada", "ada", "ada"], [0, 1, 2, 3], names)
    assert review_clicks(wrong, 0.99, page) == 1 + 1 + 1  # untick bob, confirm the others, name bob
    assert backend_clicks(wrong, 0.99) == 1


def test_similar_groups_are_asked_together_once_their_person_is_named(page: Any) -> None:
    near = [(0, k, 40.0) for k in range(1, 6)]
    alike = case(["ada"] * 6, list(range(6)), near=near)
    assert review_clicks(alike, 0.99, page) == 2  # a name, and a confirmation of the other five
    assert backend_clicks(alike, 0.99) == 6


def test_table_has_means_over_the_episodes_that_both_finish(tmp_path: Path) -> None:
    rows = [
        {"portraits": False, "spread": 1.0, "people": 3, "backend": b, "review": r}
        for b, r in ((10, 4), (30, 6), (None, 9))
    ]
    assert table(rows).splitlines()[-1] == "| none | 1.0 | 2 | 3.0 | 20.0 | 5.0 | 0.25 | 2, 3 of 3 |"
