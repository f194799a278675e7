"""People of the cast are named, and a cluster gets no name rather than a wrong one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.folder.documents import DISPLAY_THRESHOLD, MIN_PROBABILITY, predictions_bytes
from facerec.people.naming import actor_distances, actor_probabilities, cluster_vectors, name_clusters
from facerec.settings import NamingSettings
from tests.merged_folder import near, person

SAME_PERSON = 1.1
NO_PAIRS = np.empty((0, 2), np.int64)
Floats = NDArray[np.float32]


def gallery_of(
    counts: list[int], spread: float = 0.6, dimension: int = 32, seed: int = 0
) -> tuple[Floats, NDArray[np.int64]]:
    """`counts[a]` embeddings of pictures of each actor a, and the actor of each."""
    rng = np.random.default_rng(seed)
    actor_of = np.repeat(np.arange(len(counts)), counts)
    rows = [near(person(a, dimension), rng, spread) for a in actor_of.tolist()]
    return np.array(rows, np.float32).reshape(-1, dimension), actor_of.astype(np.int64)


def named(
    probes: Floats,
    counts: list[int],
    cannot_link: list[tuple[int, int]] | NDArray[np.int64] = NO_PAIRS,
    has_vector: NDArray[np.bool_] | None = None,
) -> list[dict[str, float]]:
    gallery, actor_of = gallery_of(counts)
    actors = [f"nm{a}" for a in range(len(counts))]
    pairs = np.array(cannot_link, np.int64).reshape(-1, 2)
    has_vector = np.ones(len(probes), bool) if has_vector is None else has_vector
    return name_clusters(probes, has_vector, pairs, gallery, actor_of, actors, SAME_PERSON)


def probes_of(*people: int, spread: float = 0.6, seed: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    return np.array([near(person(who, 32), rng, spread) for who in people])


def test_only_people_of_the_cast_are_named() -> None:
    first, second, unknown = named(probes_of(0, 1, 9), [1, 3, 2])
    assert first["nm0"] > DISPLAY_THRESHOLD
    assert second["nm1"] > DISPLAY_THRESHOLD
    assert unknown == {}


@pytest.mark.parametrize("counts", [[], [1], [1, 1], [40]])
def test_people_outside_a_small_or_empty_cast_get_no_name(counts: list[int]) -> None:
    assert named(probes_of(9, 10), counts) == [{}, {}]


def test_clusters_without_a_vector_have_no_name() -> None:
    probes = probes_of(0, 0)
    probes[1] = 0
    assert named(probes, [2], has_vector=np.array([True, False]))[1] == {}


def test_a_film_without_clusters_has_no_names() -> None:
    assert named(np.empty((0, 32), np.float32), [2]) == []


def test_many_pictures_of_one_actor_do_not_attract_other_people() -> None:
    """By the nearest picture alone an actor with forty is nearest to most other people."""
    gallery, actor_of = gallery_of([40, 1], spread=1.5)
    others = probes_of(*range(5, 30), *range(5, 30), spread=1.0)
    corrected = actor_distances(others, gallery, actor_of, 2, k=3, temperature=0.06)
    plain = np.stack([(2 - 2 * others @ gallery[actor_of == a].T).min(1) ** 0.5 for a in range(2)], axis=1)
    assert (plain[:, 0] < plain[:, 1]).mean() > 0.8
    assert 0.25 < (corrected[:, 0] < corrected[:, 1]).mean() < 0.75


def test_one_mislabelled_picture_does_not_name_the_other_person() -> None:
    gallery, actor_of = gallery_of([4, 4])
    actor_of[0] = 1  # a picture of actor 0 filed under actor 1
    (names,) = name_clusters(
        gallery[:1], np.ones(1, bool), NO_PAIRS, gallery[1:], actor_of[1:], ["nm0", "nm1"], SAME_PERSON
    )
    assert max(names, key=names.__getitem__) == "nm0"
    names = name_clusters(
        probes_of(0), np.ones(1, bool), NO_PAIRS, gallery, actor_of, ["nm0", "nm1"], SAME_PERSON
    )[0]
    assert names["nm0"] > DISPLAY_THRESHOLD > names.get("nm1", 0)


def test_distant_pictures_of_an_actor_do_not_outweigh_a_near_one() -> None:
    """Two learnt faces in profile are added to the portrait that gave the name."""
    gallery, actor_of = gallery_of([1, 1])
    profiles = probes_of(20, 21, spread=0.1)
    for pictures, actors in (
        (gallery, actor_of),
        (np.concatenate([gallery, profiles]), np.array([0, 1, 0, 0])),
    ):
        (names,) = name_clusters(
            probes_of(0), np.ones(1, bool), NO_PAIRS, pictures, actors, ["nm0", "nm1"], SAME_PERSON
        )
        assert names["nm0"] > DISPLAY_THRESHOLD


def test_two_clusters_in_one_frame_never_show_the_same_name() -> None:
    probes = np.array([*probes_of(0, spread=0.4), *probes_of(0, spread=0.8, seed=5)])
    apart = named(probes, [1])
    assert min(apart[0]["nm0"], apart[1]["nm0"]) > DISPLAY_THRESHOLD
    better = int(apart[1]["nm0"] > apart[0]["nm0"])
    joint = named(probes, [1], cannot_link=[(0, 1)])
    assert joint[better] == apart[better]
    assert joint[1 - better].get("nm0", 0) <= DISPLAY_THRESHOLD


def test_a_cluster_that_lost_a_name_does_not_take_it_from_others() -> None:
    """0 and 1 share a frame, 1 and 2 another; 0 is likeliest, 1 loses the name, and 2 keeps it."""
    rng = np.random.default_rng(3)
    probes = np.array([near(person(0, 32), rng, spread) for spread in (0.1, 0.5, 0.8)])
    joint = named(probes, [3], cannot_link=[(0, 1), (1, 2)])
    shown = [row.get("nm0", 0) > DISPLAY_THRESHOLD for row in joint]
    assert shown == [True, False, True]


def test_a_larger_cast_lowers_the_probability_of_each_actor() -> None:
    distances = np.full((1, 1), 0.95)
    alone = actor_probabilities(distances, SAME_PERSON)[0, 0]
    many = actor_probabilities(np.concatenate([distances, np.full((1, 40), 1.4)], axis=1), SAME_PERSON)[0, 0]
    assert many < alone


def test_extreme_distances_give_no_nan() -> None:
    extreme = actor_probabilities(
        np.array([[0.0, 2.0], [2.0, 2.0]]), SAME_PERSON, NamingSettings(temperature=1e-4)
    )
    assert np.isfinite(extreme).all()
    assert extreme[0].tolist() == pytest.approx([1, 0])


def test_the_vector_of_a_cluster_leaves_out_unusable_trajectories() -> None:
    vectors = np.array([person(0), person(1), person(1)])
    usable = np.array([True, False, False])
    found, has_vector = cluster_vectors(vectors, np.ones(3, np.float32), usable, np.array([0, 0, 1]), 2)
    assert has_vector.tolist() == [True, False]
    np.testing.assert_allclose(found, [person(0), np.zeros(16)])


@settings(deadline=None)
@given(st.data())
def test_probabilities_fit_the_contract_and_the_cannot_links(data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 6), max_size=5))
    people = data.draw(st.lists(st.integers(0, 7), max_size=8))
    spread = data.draw(st.floats(0, 2))
    n = len(people)
    pairs = (
        data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=8)) if n else []
    )
    probes = probes_of(*people, spread=spread).reshape(n, 32)
    names = named(probes, counts, [(a, b) for a, b in pairs if a != b])
    predictions_bytes(1, dict(enumerate(names)))  # validates
    assert all(MIN_PROBABILITY <= p <= 1 for row in names for p in row.values())
    for a, b in pairs:
        if a != b:
            for actor in names[a].keys() & names[b].keys():
                assert min(names[a][actor], names[b][actor]) <= DISPLAY_THRESHOLD
