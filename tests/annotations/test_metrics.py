"""Every figure must be what a person computes by hand: a wrong evaluator makes every other number wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from facerec.annotations.export import plain_name
from facerec.annotations.metrics import (
    MATCH_IOU,
    NO_FACE,
    Matched,
    Scores,
    is_person,
    match_boxes,
    match_tags,
    score,
)
from facerec.folder.records import Trajectory

Box = tuple[int, int, int, int]
LEFT, RIGHT = (0, 0, 100, 100), (300, 0, 400, 100)


def trajectory(index: int, start: int, boxes: Sequence[Box]) -> Trajectory:
    rows = np.array(boxes, np.int64)
    return Trajectory(index, 7, start, rows, np.ones(len(rows), bool), 640, 360)


def matched_with(
    trajectories: Sequence[Trajectory],
    truth: Sequence[tuple[int, Box, str, str | None]],
    saved: Mapping[int, Sequence[int]] | None = None,
) -> Matched:
    """Truth as rows of frame, box, track, identity."""
    return match_boxes(
        trajectories,
        saved or {},
        np.array([row[0] for row in truth], np.int64),
        np.array([row[1] for row in truth], float).reshape(-1, 4),
        [row[2] for row in truth],
        [row[3] for row in truth],
    )


def people(*who: str | None, pictures: int = 0, tracks: Mapping[str, int] | None = None) -> Matched:
    """A match in which the i-th trajectory is the i-th of `who` on all its boxes and pictures."""
    boxes = [Counter({name: 10}) if name else Counter() for name in who]
    return Matched(boxes, [(name,) * pictures for name in who], None, None, tracks)


def scored(matched: Matched, clusters: Sequence[int], **names: dict[str, float]) -> Scores:
    """Names by cluster as `c0={"ada": 0.9}`; actor ids stand for themselves."""
    return score(matched, clusters, {int(key[1:]): said for key, said in names.items()}, {})


def test_recall_counts_boxes_of_faces_found_once_each() -> None:
    ours = [trajectory(0, 10, [LEFT, LEFT, LEFT])]
    truth = [
        (10, LEFT, "a", "ada"),
        (11, RIGHT, "b", "bob"),  # nothing of ours is there
        (12, LEFT, "a", "ada"),
        (12, (0, 0, 100, 90), "b", "bob"),  # under the same box of ours, which is ada's already
        (13, LEFT, "a", "ada"),  # after our last frame
        (10, RIGHT, "x", NO_FACE),  # no face: not to be found
        (11, LEFT, "s", None),  # a face, if of unsure identity
    ]
    matched = matched_with(ours, truth)
    assert (matched.truth_boxes, matched.found_boxes) == (6, 3)
    assert matched.boxes == [Counter(ada=2)]
    assert scored(matched, [0]).recall == 0.5


def test_best_overlap_wins_whatever_the_order_of_rows() -> None:
    ours = [trajectory(0, 0, [(0, 0, 100, 100)]), trajectory(1, 0, [(40, 0, 140, 100)])]
    truth = [(0, (30, 0, 130, 100), "b", "bob"), (0, (0, 0, 100, 90), "a", "ada")]
    for rows in (truth, truth[::-1]):
        assert matched_with(ours, rows).boxes == [Counter(ada=1), Counter(bob=1)]


def test_boxes_that_hardly_overlap_do_not_match() -> None:
    wide = round(100 / MATCH_IOU)
    ours = [trajectory(0, 0, [(0, 0, 100, 100)])]
    assert matched_with(ours, [(0, (0, 0, wide, 100), "a", "ada")]).found_boxes == 1
    assert matched_with(ours, [(0, (0, 0, wide + 5, 100), "a", "ada")]).found_boxes == 0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8), st.integers(0, 8), st.booleans()), max_size=24)
)
def test_matching_is_one_to_one_in_each_frame_and_leaves_no_pair_that_could_match(
    rows: list[tuple[int, int, int, bool]],
) -> None:
    boxes = [(frame, (10 * x, 10 * y, 10 * x + 40, 10 * y + 40), mine) for frame, x, y, mine in rows]
    ours = [trajectory(i, f, [box]) for i, (f, box) in enumerate((f, b) for f, b, mine in boxes if mine)]
    truth = [(f, box, str(i), f"p{i}") for i, (f, box, mine) in enumerate(boxes) if not mine]
    matched = matched_with(ours, truth)
    given_out = Counter(name for counts in matched.boxes for name in counts.elements())
    assert max(given_out.values(), default=1) == 1
    assert all(counts.total() <= 1 for counts in matched.boxes)
    assert matched.found_boxes == given_out.total()
    free = [t for t, counts in zip(ours, matched.boxes, strict=True) if not counts]
    for frame, box, _, name in truth:
        if not given_out[name]:
            for one in free:
                alone = matched_with([trajectory(0, one.start, one.boxes.tolist())], [(frame, box, "t", "p")])
                assert alone.found_boxes == 0


def test_a_trajectory_mixes_people_from_a_tenth_of_its_boxes_on() -> None:
    counts = [Counter(ada=91, bob=9), Counter(ada=90, bob=10), Counter(ada=45, bob=5), Counter(ada=1)]
    matched = Matched(counts, [()] * 4, None, None, None)
    assert scored(matched, [0, 1, 2, 3]).mixed == 2


def test_fragments_are_a_mean_over_persons_of_pieces_a_track() -> None:
    """Ada has one track and three trajectories, Bob two and two; Cy is not found, Dan has no track."""
    matched = people("ada", "ada", "ada", "bob", "bob", NO_FACE, tracks={"ada": 1, "bob": 2, "cy": 4})
    assert scored(matched, range(6)).fragments == pytest.approx((3 / 1 + 2 / 2) / 2)
    assert scored(people("ada"), [0]).fragments is None  # labels of pictures say nothing of tracks


def test_tracks_of_the_truth_are_counted_by_identity_and_without_unsure_ones() -> None:
    truth = [(f, LEFT, t, who) for f, t, who in ((0, "1", "ada"), (1, "1", "ada"), (5, "2", "ada"))]
    matched = matched_with([], [*truth, (0, RIGHT, "3", None), (0, RIGHT, "4", "bob")])
    assert matched.truth_tracks == {"ada": 2, "bob": 1}


def test_purity_clusters_and_people_count_judged_trajectories_only() -> None:
    made = scored(people("ada", "ada", "bob", None, NO_FACE, "bob", None), [0, 0, 0, 0, 1, 2, 3])
    assert (made.trajectories, made.judged, made.clusters, made.people) == (7, 5, 3, 2)
    assert made.purity == pytest.approx(4 / 5)  # bob's in ada's cluster is the stray


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_nmi_is_scikit_learns(pairs: list[tuple[int, str]]) -> None:
    clusters, who = [c for c, _ in pairs], [w for _, w in pairs]
    expected = normalized_mutual_info_score(who, clusters)
    assert scored(people(*who), clusters).nmi == pytest.approx(expected)


def test_nmi_by_hand() -> None:
    """Two persons of two trajectories; three clusters. H = 1 and 1.5 bits, I = 1 bit."""
    assert scored(people("ada", "ada", "bob", "bob"), [0, 0, 1, 2]).nmi == pytest.approx(1 / 1.25)


def test_clusters_a_person_leave_false_faces_out_and_count_a_shared_cluster_for_both() -> None:
    made = scored(people("ada", "ada", "bob", NO_FACE, "not ada"), [0, 1, 1, 2, 3])
    assert (made.clusters, made.people, made.clusters_a_person) == (4, 2, 1.5)
    assert scored(people(NO_FACE), [0]).clusters_a_person is None


def test_clicks_are_one_a_cluster_and_one_for_each_stray_picture_that_is_shown() -> None:
    boxes = [Counter(ada=9), Counter(ada=9), Counter(bob=9), Counter(bob=9), Counter()]
    pictures = [
        ("ada", "ada"),
        ("ada", "bob"),  # the last picture slipped to somebody else: 1
        ("bob", None),  # a stray; where the truth is silent a picture is its trajectory's: 2
        ("bob",),  # a cluster of its own
        ("cy", "cy"),  # not judged
    ]
    made = scored(Matched(boxes, pictures, None, None, None), [0, 0, 0, 1, 0])
    assert made.clicks == 2 + 1 + 2


def test_shown_pictures_are_the_first_and_the_last_saved() -> None:
    ours = [trajectory(0, 0, [LEFT] * 20), trajectory(1, 0, [RIGHT] * 6), trajectory(2, 50, [LEFT])]
    labels = {(0, 0): "ada", (0, 5): "bob", (0, 15): "cy", (1, 5): "dan"}
    matched = match_tags(ours, {0: [0, 5, 10, 15], 1: [5], 2: []}, labels)
    assert matched.pictures == [("ada", "cy"), ("dan",), ()]
    assert matched.identity(0) == "ada"  # one each: the first by name, always the same
    by_box = matched_with(ours, [(15, LEFT, "t", "ada")], {0: [0, 5, 10, 15], 1: [5], 2: []})
    assert by_box.pictures == [(None, "ada"), (None,), ()]


def test_a_name_is_shown_strictly_above_040() -> None:
    who = people("ada", "ada", "ada", "ada", "ada", NO_FACE)
    made = scored(
        who,
        [0, 1, 2, 3, 4, 5],
        c0={"ada": 0.40},
        c1={"ada": 0.40001, "bob": 0.40},
        c2={"bob": 0.9},
        c3={"ada": 0.5, "bob": 0.41},  # a second name that is shown is a wrong one
        c5={"ada": 0.41},  # a hand
    )
    assert (made.right, made.wrong, made.silent) == (1, 3, 2)


def test_names_are_compared_as_the_truth_spells_them() -> None:
    matched, clusters = people("ada", "lin_manuel_miranda", "nm_1"), [0, 1, 2]
    said = {0: {"x": 0.9}, 1: {"nm0592135": 0.9}, 2: {"NM-1": 0.9}}
    made = score(matched, clusters, said, {"nm0592135": "lin_manuel_miranda"})
    assert (made.right, made.wrong) == (2, 1)  # an id that no database names stands for itself


def test_calibration_by_hand() -> None:
    """Bin 0.9: forecasts 0.95, 0.95, 0.91 of which two come true; bin 0.4: 0.45, which does not."""
    matched = people("ada", "bob", "cy", "dan", "eve")
    clusters = [0, 0, 1, 2, 3]
    made = scored(matched, clusters, c0={"ada": 0.95}, c1={"cy": 0.91}, c2={"ada": 0.45, "dan": 0.3}, c3={})
    assert made.forecasts == 4
    confident, mean = 2 / 3, (0.95 + 0.95 + 0.91) / 3
    assert made.calibration_error == pytest.approx((3 * abs(mean - confident) + 1 * 0.45) / 4)
    assert made.brier == pytest.approx((0.05**2 + 0.95**2 + 0.09**2 + 0.45**2) / 4)


def test_certainty_falls_in_the_last_bin() -> None:
    made = scored(people("ada", "ada"), [0, 1], c0={"ada": 1.0}, c1={"ada": 0.95})
    assert made.calibration_error == pytest.approx(0.025)


def test_an_empty_movie_has_no_figures_rather_than_perfect_ones() -> None:
    made = scored(matched_with([], []), [])
    assert (made.trajectories, made.judged, made.clusters, made.people, made.clicks) == (0, 0, 0, 0, 0)
    assert made.recall is made.purity is made.nmi is made.fragments is made.brier is None
    assert scored(matched_with([], [(0, LEFT, "a", "ada")]), []).recall == 0


def test_somebody_known_not_to_be_a_person_is_no_person_and_no_majority() -> None:
    made = scored(people("ada", "ada", "not ada", pictures=2), [0, 0, 0], c0={"ada": 0.9})
    assert (made.people, made.purity, made.clicks) == (1, pytest.approx(2 / 3), 1 + 2)
    assert (made.right, made.wrong) == (2, 1)
    assert not is_person("not ada") and not is_person(NO_FACE) and is_person("notburga")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Lin-Manuel Miranda", "lin_manuel_miranda"),
        (" Renée  Zellweger ", "renee_zellweger"),
        ("Любовь Орлова", "любовь_орлова"),
        ("O'Toole, Peter", "o_toole_peter"),
        ("--", ""),
    ],
)
def test_plain_names_keep_other_scripts_apart(name: str, plain: str) -> None:
    assert plain_name(name) == plain == plain_name(plain)
