"""Every figure equals the one computed by hand from its definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from facerec.annotations.identities import MIXED, NO_FACE
from facerec.annotations.matching import Matched
from facerec.annotations.metrics import Scores, score


def people(*who: str | None, pictures: int = 0, tracks: Mapping[str, int] | None = None) -> Matched:
    """Match trajectory i with the i-th of `who`, on all its boxes and thumbnails."""
    boxes = [Counter({name: 10}) if name else Counter() for name in who]
    return Matched(boxes, [(name,) * pictures for name in who], None, None, tracks)


def scored(matched: Matched, clusters: Sequence[int], **names: dict[str, float]) -> Scores:
    """Score with probabilities by cluster as `c0={"ada": 0.9}`; actor ids are identities."""
    return score(matched, clusters, {int(key[1:]): said for key, said in names.items()}, {})


def test_recall_is_the_share_of_true_boxes_found() -> None:
    matched = Matched([Counter(ada=2)], [()], truth_boxes=6, found_boxes=3, truth_tracks=None)
    assert scored(matched, [0]).recall == 0.5


def test_trajectory_is_mixed_from_a_tenth_of_its_boxes() -> None:
    counts = [Counter(ada=91, bob=9), Counter(ada=90, bob=10), Counter(ada=45, bob=5), Counter(ada=1)]
    matched = Matched(counts, [()] * 4, None, None, None)
    assert scored(matched, [0, 1, 2, 3]).mixed == 2


def test_fragments_are_trajectories_by_track_averaged_over_persons() -> None:
    """Ada has one track and three trajectories, Bob two and two; Cy is not found, Dan has no track."""
    matched = people("ada", "ada", "ada", "bob", "bob", NO_FACE, tracks={"ada": 1, "bob": 2, "cy": 4})
    assert scored(matched, range(6)).fragments == pytest.approx((3 / 1 + 2 / 2) / 2)
    assert scored(people("ada"), [0]).fragments is None  # labels of thumbnails give no tracks


def test_purity_clusters_and_people_count_judged_trajectories_only() -> None:
    made = scored(people("ada", "ada", "bob", None, NO_FACE, "bob", None), [0, 0, 0, 0, 1, 2, 3])
    assert (made.trajectories, made.judged, made.clusters, made.people) == (7, 5, 3, 2)
    assert made.purity == pytest.approx(4 / 5)  # bob in ada's cluster is misplaced


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_nmi_equals_that_of_scikit_learn(pairs: list[tuple[int, str]]) -> None:
    clusters, who = [c for c, _ in pairs], [w for _, w in pairs]
    expected = normalized_mutual_info_score(who, clusters)
    assert scored(people(*who), clusters).nmi == pytest.approx(expected)


def test_nmi_by_hand() -> None:
    """Two persons of two trajectories; three clusters. H = 1 and 1.5 bits, I = 1 bit."""
    assert scored(people("ada", "ada", "bob", "bob"), [0, 0, 1, 2]).nmi == pytest.approx(1 / 1.25)


def test_clusters_a_person_ignore_false_faces_and_count_a_shared_cluster_twice() -> None:
    made = scored(people("ada", "ada", "bob", NO_FACE, "not ada"), [0, 1, 1, 2, 3])
    assert (made.clusters, made.people, made.clusters_a_person) == (4, 2, 1.5)
    assert scored(people(NO_FACE), [0]).clusters_a_person is None


def test_clicks_are_one_for_each_cluster_and_each_misplaced_thumbnail() -> None:
    boxes = [Counter(ada=9), Counter(ada=9), Counter(bob=9), Counter(bob=9), Counter()]
    pictures = [
        ("ada", "ada"),
        ("ada", "bob"),  # the last thumbnail is of another person: 1
        ("bob", None),  # misplaced, the unknown thumbnail as well: 2
        ("bob",),  # a cluster of its own
        ("cy", "cy"),  # not judged
    ]
    made = scored(Matched(boxes, pictures, None, None, None), [0, 0, 0, 1, 0])
    assert made.clicks == 2 + 1 + 2


@pytest.mark.parametrize("names", [("ada", "zoe"), ("zoe", "ada")])
def test_figures_do_not_depend_on_the_order_of_names_where_two_are_equal(names: tuple[str, str]) -> None:
    """One trajectory of each person in a cluster; half a trajectory each; two names equally likely."""
    one, two = names
    boxes = [Counter({one: 4}), Counter({two: 4}), Counter({one: 3, two: 3})]
    matched = Matched(boxes, [(one, one), (two,), (one, two)], None, None, None)
    made = scored(matched, [0, 0, 1], c0={one: 0.3, two: 0.3}, c1={one: 0.9})
    assert matched.identity(2) == MIXED
    assert (made.judged, made.mixed, made.people) == (3, 1, 2)
    assert made.purity == pytest.approx(1 / 3)
    assert made.clicks == 2 + 1 + 1  # the person with one picture is out of place, then one of the two
    assert (made.right, made.wrong, made.silent) == (0, 0, 2)
    assert made.brier == pytest.approx(0.2**2)  # 0.3, and one of two names is right


def test_trajectory_with_several_identities_counts_as_nobody_and_misplaced() -> None:
    matched = people("ada", MIXED, "ada", MIXED, pictures=1)
    made = scored(matched, [0, 0, 0, 1], c0={"ada": 0.9}, c1={"bob": 0.9})
    assert (made.judged, made.mixed, made.people, made.clusters) == (4, 2, 1, 2)
    assert (made.right, made.wrong, made.silent, made.forecasts) == (2, 0, 0, 2)
    assert (made.purity, made.clicks, made.nmi) == (0.5, 2 + 1, 1.0)


def test_shared_page_of_poor_trajectories_costs_one_click_and_is_no_part_of_purity() -> None:
    """Two people in cluster 0, one of them out of place, and three trajectories on the poor page 1."""
    matched = people("ada", "ada", "bob", "ada", "cy", MIXED, pictures=2)
    made = score(matched, [0, 0, 0, 1, 1, 1], {0: {"ada": 0.9}, 1: {}}, {}, poor_pages=[1, 2])
    assert (made.judged, made.clusters, made.poor_pages, made.on_poor_pages) == (6, 1, 1, 3)
    assert (made.people, made.clusters_a_person, made.mixed) == (3, 1, 1)
    assert made.purity == pytest.approx(2 / 3)
    assert made.clicks == 1 + 2 + 1
    assert (made.right, made.wrong, made.silent) == (2, 1, 2)
    only = score(matched, [0] * 6, {0: {}}, {}, poor_pages=[0])
    assert (only.purity, only.nmi, only.clusters_a_person, only.clicks) == (None, None, None, 1)


def test_name_is_shown_only_above_040() -> None:
    who = people("ada", "ada", "ada", "ada", "ada", NO_FACE)
    made = scored(
        who,
        [0, 1, 2, 3, 4, 5],
        c0={"ada": 0.40},
        c1={"ada": 0.40001, "bob": 0.40},
        c2={"bob": 0.9},
        c3={"ada": 0.5, "bob": 0.41},  # a second name shown is wrong
        c5={"ada": 0.41},  # a false face
    )
    assert (made.right, made.wrong, made.silent) == (1, 3, 2)


def test_names_are_compared_in_the_spelling_of_the_truth() -> None:
    matched, clusters = people("ada", "lin_manuel_miranda", "nm_1"), [0, 1, 2]
    said = {0: {"x": 0.9}, 1: {"nm0592135": 0.9}, 2: {"NM-1": 0.9}}
    made = score(matched, clusters, said, {"nm0592135": "lin_manuel_miranda"})
    assert (made.right, made.wrong) == (2, 1)  # an id without a name is its own identity


def test_calibration_by_hand() -> None:
    """Bin 0.9: forecasts 0.95, 0.95, 0.91 of which two come true; bin 0.4: 0.45, which does not."""
    matched = people("ada", "bob", "cy", "dan", "eve")
    clusters = [0, 0, 1, 2, 3]
    made = scored(matched, clusters, c0={"ada": 0.95}, c1={"cy": 0.91}, c2={"ada": 0.45, "dan": 0.3}, c3={})
    assert made.forecasts == 4
    confident, mean = 2 / 3, (0.95 + 0.95 + 0.91) / 3
    assert made.calibration_error == pytest.approx((3 * abs(mean - confident) + 1 * 0.45) / 4)
    assert made.brier == pytest.approx((0.05**2 + 0.95**2 + 0.09**2 + 0.45**2) / 4)


def test_probability_one_is_in_the_last_bin() -> None:
    made = scored(people("ada", "ada"), [0, 1], c0={"ada": 1.0}, c1={"ada": 0.95})
    assert made.calibration_error == pytest.approx(0.025)


def test_movie_without_trajectories_has_no_figures() -> None:
    made = scored(Matched([], [], 0, 0, {}), [])
    assert (made.trajectories, made.judged, made.clusters, made.people, made.clicks) == (0, 0, 0, 0, 0)
    assert made.recall is made.purity is made.nmi is made.fragments is made.brier is None
    assert scored(Matched([], [], 1, 0, {"ada": 1}), []).recall == 0


def test_identity_of_another_person_is_neither_person_nor_majority() -> None:
    made = scored(people("ada", "ada", "not ada", pictures=2), [0, 0, 0], c0={"ada": 0.9})
    assert (made.people, made.purity, made.clicks) == (1, pytest.approx(2 / 3), 1 + 2)
    assert (made.right, made.wrong) == (2, 1)
