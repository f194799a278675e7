"""People of the cast are named, and a cluster gets no name rather than a wrong one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from facerec.folder.documents import DISPLAY_THRESHOLD, MIN_PROBABILITY, predictions_bytes
from facerec.people.naming import (
    actor_distances,
    actor_probabilities,
    cluster_vectors,
    distance_of_mean_odds,
    name_clusters,
    year_weights,
)
from facerec.settings import NamingSettings
from tests.merged_folder import near, person

SAME_PERSON = 1.1
NO_PAIRS = np.empty((0, 2), np.int64)
Floats = NDArray[np.float32]


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float64)


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


def test_weights_of_pictures_and_settings_change_the_probabilities_of_names() -> None:
    gallery, actor_of = gallery_of([4, 4])
    every, who = np.ones(2, bool), probes_of(0, 1)

    def of(settings: NamingSettings | None, weights: NDArray[np.float64] | None) -> list[dict[str, float]]:
        return name_clusters(
            who, every, NO_PAIRS, gallery, actor_of, ["a", "b"], SAME_PERSON, settings, weights
        )

    plain = of(None, None)
    assert [max(names, key=lambda actor: names[actor]) for names in plain] == ["a", "b"]
    assert of(None, np.ones(8)) == [pytest.approx(names) for names in plain]
    assert of(None, np.array([1, 0.01, 0.01, 0.01, 1, 0.01, 0.01, 0.01])) != plain
    assert of(NamingSettings(unknown_odds=1e9), None) == [{}, {}] != plain


@pytest.mark.parametrize("same_person", [0.5, SAME_PERSON])
def test_a_name_is_as_likely_as_its_pictures_say_and_the_likeliest_comes_first(same_person: float) -> None:
    """By hand: the mean odds of each actor's pictures, against 10 and 0.5 an actor for all other people."""
    near_by = np.array([0.85, 0.95, 0.7, 0.8, 0.9])  # in units of `same_person`; two of one actor, three
    cosine = 1 - (near_by * same_person) ** 2 / 2
    gallery = cosine[:, None] * person(0, 32) + np.sqrt(1 - cosine**2)[:, None] * person(1, 32)
    odds = np.exp((1 - near_by) / 0.06)
    first, second = odds[:2].mean(), odds[2:].mean()
    unknown = 10 + 2 * 0.5
    (names,) = name_clusters(
        person(0, 32)[None], np.ones(1, bool), NO_PAIRS, gallery.astype(np.float32),
        np.array([0, 0, 1, 1, 1]), ["a", "b"], same_person,
    )  # fmt: skip
    assert list(names) == ["b", "a"]
    assert names["a"] == pytest.approx(first / (first + second + unknown), rel=1e-3)
    assert names["b"] == pytest.approx(second / (first + second + unknown), rel=1e-3)


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


def test_probes_compared_in_parts_have_the_same_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, actor_of = gallery_of([3, 2])
    probes = probes_of(*range(7))
    whole = actor_distances(probes, gallery, actor_of, 2, NamingSettings(), 0.06)
    monkeypatch.setattr("facerec.people.naming._MAX_DISTANCES", 10)  # two probes at once
    parts = actor_distances(probes, gallery, actor_of, 2, NamingSettings(), 0.06)
    np.testing.assert_allclose(parts, whole, rtol=1e-6)


def test_many_pictures_of_one_actor_do_not_attract_other_people() -> None:
    """By the nearest picture an actor with forty is near to most people that are near to anybody.

    The other twenty actors have one picture; "near" is what one stranger in fifty is to one of them.
    """
    counts = [40] + [1] * 20
    gallery, actor_of = gallery_of(counts, spread=1.5, dimension=64)
    rng = np.random.default_rng(1)
    strangers = np.array([near(person(30 + i % 30, 64), rng, 1.0) for i in range(1000)])
    distances = actor_distances(strangers, gallery, actor_of, 21, NamingSettings(), temperature=0.06)
    plain = (2 - 2 * strangers @ gallery[actor_of == 0].T).min(1) ** 0.5
    near_one = np.quantile(distances[:, 1:], 0.02)
    assert (plain < near_one).mean() > 0.25
    assert (distances[:, 0] < near_one).mean() <= 0.02


def test_the_distance_is_that_of_the_mean_odds_of_the_nearest_pictures() -> None:
    """Of six pictures 0.9 count: five, and four tenths of the sixth; of three, all; of 25, 22 and a half."""
    probe = person(0, 8)[None]
    distances = np.array([0.9, 0.5, 0.7, 0.6, 1.0, 0.8, *np.linspace(1.39, 0.51, 19)])
    cosine = 1 - distances**2 / 2
    pictures = cosine[:, None] * probe + np.sqrt(1 - cosine**2)[:, None] * person(1, 8)
    for count, whole, part in ((6, 5, 0.4), (3, 3, 0), (25, 22, 0.5)):
        odds = np.exp(-np.sort(distances[:count]) / 0.1)
        expected = (odds[:whole].sum() + part * odds[min(whole, count - 1)]) / (whole + part)
        gallery = pictures.astype(np.float32)[:count]
        (found,) = actor_distances(probe, gallery, np.zeros(count, np.int64), 1, NamingSettings(), 0.1)
        assert np.exp(-found / 0.1) == pytest.approx([expected], rel=1e-4)


def test_pictures_count_by_their_years_and_unknown_years_like_the_others() -> None:
    years = np.array([1990.0, 1970.0, np.nan, np.nan, 2010.0])
    actor_of = np.array([0, 0, 0, 1, 2])
    weights = year_weights(years, actor_of, 1990.0, 20.0)
    assert weights.tolist() == [1.0, 0.5, 0.75, 1.0, 0.5]
    assert (year_weights(np.array([1.0, 9999.0]), np.array([0, 0]), 1990.0, 0.5) > 0).all()
    assert (year_weights(years, actor_of, 1990.0, float("inf")) == 1).all()


def test_the_mean_odds_are_weighted_nearest_pictures_first() -> None:
    distances = np.array([[0.9, 0.5, 0.7, 0.6]])
    weights = np.array([1.0, 0.25, 0.5, 1.0])  # 2.75 in all, of which 0.9 count: the farthest in part
    counted = np.array([0.725, 0.25, 0.5, 1.0])
    (found,) = distance_of_mean_odds(distances, NamingSettings(k=1), 0.1, weights)
    odds = (np.exp(-distances[0] / 0.1) * counted).sum() / 2.475
    assert np.exp(-found / 0.1) == pytest.approx(odds)
    probes = np.array([[0.9, 0.5, 0.7, 0.6], [0.4, 1.1, 0.8, 1.0], [0.7, 0.7, 0.7, 0.7]])
    several = distance_of_mean_odds(probes, NamingSettings(k=1), 0.1, weights)
    alone = [distance_of_mean_odds(one[None], NamingSettings(k=1), 0.1, weights)[0] for one in probes]
    assert several.tolist() == alone and several[0] == found


@given(st.data())
def test_equal_weights_are_no_weights_and_a_farther_picture_never_helps(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 9))
    side = st.floats(0.1, 1.9)
    distances = np.array([data.draw(st.lists(side, min_size=count, max_size=count))])
    settings = NamingSettings(k=data.draw(st.integers(1, 4)))
    weights = np.array(data.draw(st.lists(st.floats(0.01, 1), min_size=count, max_size=count)))
    plain = distance_of_mean_odds(distances, settings, 0.07)
    assert distance_of_mean_odds(distances, settings, 0.07, np.full(count, 0.3)) == pytest.approx(plain)
    nearly = np.full(count, 0.3) + np.arange(count) * 1e-12
    assert distance_of_mean_odds(distances, settings, 0.07, nearly) == pytest.approx(plain)
    found = distance_of_mean_odds(distances, settings, 0.07, weights)
    assert distances.min() - 1e-9 <= found <= distances.max() + 1e-9
    farther = distances.copy()
    farther[0, data.draw(st.integers(0, count - 1))] += 0.5
    assert distance_of_mean_odds(farther, settings, 0.07, weights) >= found - 1e-9


def right_names(
    spread: float, appearances: int, alike: float, numbers: list[int], share: float = NamingSettings.share
) -> NDArray[np.bool_]:
    """Simulate thirty casts of twenty; return (len(numbers), 2, 1800): right names, and names of strangers.

    The three clusters of each actor are the same for all numbers of pictures, and the larger galleries
    contain the smaller ones. `alike` (0..1) of a deviation is common to the faces of a person in one look;
    deviations differ in size.
    """
    rng = np.random.default_rng(11)
    cast, dimension, most, found = 20, 18, max(numbers), []
    for _ in range(30):
        people = unit(rng.normal(size=(2 * cast, 1, dimension)))
        shared = rng.normal(size=(2 * cast, appearances, dimension))
        own = rng.normal(size=(2 * cast, most + 3, dimension))
        of_appearance = rng.integers(appearances, size=(2 * cast, most + 3))
        look = np.take_along_axis(shared, of_appearance[:, :, None], axis=1)
        noise = np.sqrt(alike) * look + np.sqrt(1 - alike) * own
        size = rng.uniform(0.4, 1.6, size=(2 * cast, most + 3, 1)) * spread / np.sqrt(dimension)
        faces = unit(people + size * noise).astype(np.float32)
        probes, who = faces[:, most:].reshape(-1, dimension), np.repeat(np.arange(2 * cast), 3)
        for number in numbers:
            gallery = faces[:cast, :number].reshape(-1, dimension)
            names = name_clusters(
                probes, np.ones(len(probes), bool), NO_PAIRS, gallery, np.repeat(np.arange(cast), number),
                [str(actor) for actor in range(cast)], SAME_PERSON, NamingSettings(share=share),
            )  # fmt: skip
            own_name = [row.get(str(w), 0) > DISPLAY_THRESHOLD for row, w in zip(names, who, strict=True)]
            any_name = [max(row.values(), default=0) > DISPLAY_THRESHOLD for row in names]
            found.append((own_name[: 3 * cast], any_name[3 * cast :]))
    rows = np.array(found, bool).reshape(30, len(numbers), 2, 3 * cast)
    return rows.transpose(1, 2, 0, 3).reshape(len(numbers), 2, -1)


@settings(derandomize=True, max_examples=15)
@example(0.9, 4, 0.5, 3, 1)
@given(st.floats(0.7, 1.1), st.integers(1, 5), st.floats(0, 0.8), st.integers(1, 15), st.integers(1, 5))
def test_more_true_pictures_do_not_cost_names(
    spread: float, appearances: int, alike: float, fewer: int, added: int
) -> None:
    """The pictures of an actor change up to three names together, so the noise is that of half as many."""
    before, after = right_names(spread, appearances, alike, [fewer, fewer + added])
    differing = int((before[0] != after[0]).sum())
    assert after[0].sum() >= before[0].sum() - 1.5 * np.sqrt(2 * differing)


def test_names_increase_with_pictures_and_those_of_strangers_hardly_do() -> None:
    """A correction for the nearest of many, from the fourth picture on, cost names.

    The three nearest alone would name strangers instead.
    """
    numbers = [1, 3, 4, 5, 10, 20]
    found = right_names(0.9, 4, 0.5, numbers).mean(axis=2)
    assert (np.diff(found[:, 0]) >= 0).all()
    assert found[-1, 0] > found[1, 0] + 0.05
    assert found[2:, 1].max() < found[1, 1] + 0.04
    assert right_names(0.9, 4, 0.5, numbers, share=0.01).mean(axis=2)[-1, 1] > found[1, 1] + 0.1


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


def test_a_shared_name_is_taken_from_the_less_likely_cluster_in_whatever_order_they_are() -> None:
    probes = probes_of(0, 0)
    alone = [names["nm0"] for names in named(probes, [3])]
    assert min(alone) > DISPLAY_THRESHOLD and alone[0] != alone[1]
    for order in ([0, 1], [1, 0]):
        expected = [alone[i] == max(alone) for i in order]
        for pair in ((0, 1), (1, 0)):
            names = named(probes[order], [3], [pair])
            assert [row.get("nm0", 0) > DISPLAY_THRESHOLD for row in names] == expected


def test_a_cast_without_actors_has_no_probabilities() -> None:
    assert actor_probabilities(np.empty((3, 0)), SAME_PERSON).shape == (3, 0)


def test_a_cluster_that_lost_a_name_does_not_take_it_from_others() -> None:
    """0 and 1 share a frame, 1 and 2 another; 0 is likeliest, 1 loses the name, and 2 keeps it."""
    rng = np.random.default_rng(3)
    probes = np.array([near(person(0, 32), rng, spread) for spread in (0.1, 0.5, 0.8)])
    joint = named(probes, [3], cannot_link=[(0, 1), (1, 2)])
    shown = [row.get("nm0", 0) > DISPLAY_THRESHOLD for row in joint]
    assert shown == [True, False, True]


def test_two_actors_in_one_frame_both_keep_their_names() -> None:
    probes = probes_of(0, 1, spread=0.3)
    joint = named(probes, [2, 2], cannot_link=[(0, 1)])
    assert joint == named(probes, [2, 2])
    assert joint[0]["nm0"] > DISPLAY_THRESHOLD < joint[1]["nm1"]


def test_a_name_that_was_lost_is_as_likely_as_that_the_rival_does_not_show_it() -> None:
    rng = np.random.default_rng(3)
    probes = np.array([near(person(0, 32), rng, spread) for spread in (0.9, 1.0)])
    apart = [row["nm0"] for row in named(probes, [3])]
    joint = [row["nm0"] for row in named(probes, [3], cannot_link=[(0, 1)])]
    loser = int(np.argmin(apart))
    assert apart[loser] > DISPLAY_THRESHOLD
    assert joint[loser] == pytest.approx(apart[loser] * (1 - apart[1 - loser]))
    assert joint[1 - loser] == apart[1 - loser]


@pytest.mark.parametrize("same_person", [0.6, 1.1])
def test_the_odds_of_an_actor_are_those_of_its_distance_against_all_others(same_person: float) -> None:
    """The distance counts in units of `same_person`, which differs by embedder."""
    settings = NamingSettings(temperature=0.1, unknown_odds=0.5, unknown_odds_per_actor=0.25)
    distances = same_person * np.array([[0.8, 1.1], [1.0, 1.0]])
    odds = np.exp((1 - np.array([[0.8, 1.1], [1.0, 1.0]])) / 0.1)
    expected = odds / (odds.sum(1, keepdims=True) + 0.5 + 2 * 0.25)
    np.testing.assert_allclose(actor_probabilities(distances, same_person, settings), expected)


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


def test_the_vector_of_a_cluster_has_length_1_and_the_direction_of_the_weighted_mean() -> None:
    vectors, quality = np.array([person(0), person(1)]), np.array([0.3, 0.4], np.float32)
    found, _ = cluster_vectors(vectors, quality, np.ones(2, bool), np.array([0, 0]), 1)
    np.testing.assert_allclose(found[0], 0.6 * person(0) + 0.8 * person(1), rtol=1e-6)


def test_the_nearest_pictures_count_in_whatever_order_they_are() -> None:
    """A tenth of 2,005 pictures: the nearest 200, and half of the next."""
    distances = np.random.default_rng(3).uniform(0.4, 1.4, (10, 2005))
    odds = np.exp(-np.sort(distances, axis=1) / 0.3)
    expected = (odds[:, :200].sum(1) + odds[:, 200] / 2) / 200.5
    found = distance_of_mean_odds(distances, NamingSettings(share=0.1), 0.3)
    np.testing.assert_allclose(np.exp(-found / 0.3), expected, rtol=1e-9)


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


def test_an_extra_who_is_a_little_like_an_actor_gets_no_name() -> None:
    """Most people of a film are not in the database: likeness alone must not name them."""
    distances = np.array([[0.97 * SAME_PERSON, 1.3]])  # a pair that is as likely one person as two
    fewer = NamingSettings(unknown_odds=1e-6, unknown_odds_per_actor=0.0)
    assert actor_probabilities(distances, SAME_PERSON, fewer).max() > DISPLAY_THRESHOLD
    assert actor_probabilities(distances, SAME_PERSON).max() < DISPLAY_THRESHOLD
