"""Decide who each trajectory shows: by annotators' answers, else by predictions, else it stays unknown."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from facerec.actors.cast import Cast, allowed_names, without_name
from facerec.folder.documents import Predictions, shown_actor
from facerec.folder.people import ANNOTATOR, NONE, PREDICTION, People, Person

_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories


@dataclass(frozen=True)
class Identity:
    """The identity of the person that a trajectory shows.

    Attributes:
        person: id; trajectories with equal ids show one person. An actor id, `typed:` and a plain name,
            `unknown:` and the id of an unnamed cluster, `unnamed:` and a number for somebody whom the actor
            database says not to name, or `trajectory:` and an index.
        name: on one line; `unknown 17` for the unnamed cluster 17.
        actor_id: None if it is no actor of the cast.
        source: `annotator`, `prediction` or `none`.
        probability: of the prediction; None where it is not the source.
        shared: not one person: a page that trajectories too poor to compare share, or a trajectory in which
            annotators saw several people.
    """

    person: str
    name: str
    actor_id: str | None
    source: str
    probability: float | None = None
    shared: bool = False


def identify(
    clusters: Sequence[int],
    predictions: Predictions,
    shared_pages: Collection[int],
    cast: Cast,
    answers: People | None,
    least: float,
) -> list[Identity | None]:
    """Decide who each trajectory shows; None where annotators say that it shows no face.

    Two clusters with the same predicted actor are one person. Of two equally likely actors neither is the
    cluster's.

    Args:
        clusters: cluster of each trajectory.
        shared_pages: clusters that are not one person.
        answers: of annotators, who come before `predictions`; the predictions in it are not used.
        least: a prediction needs a probability above this.
    """
    by_cluster = {
        cluster: _predicted(cluster, predictions.get(cluster, {}), cluster in shared_pages, cast, least)
        for cluster in sorted(set(clusters))
    }
    found: list[Identity | None] = [by_cluster[cluster] for cluster in clusters]
    for person in answers.people if answers else ():
        if person.source == ANNOTATOR:
            identity = _annotated(person, cast)
            for index in person.trajectories:
                found[index] = identity
    for index in answers.mixed if answers else ():
        found[index] = Identity(
            f"trajectory:{index}", f"unknown, trajectory {index}", None, ANNOTATOR, shared=True
        )
    for index in answers.no_face if answers else ():
        found[index] = None
    return found


def anonymous(identities: Sequence[Identity | None]) -> list[Identity | None]:
    """Return identities with numbers for names, by first appearance: `person 1`; no actor ids.

    Whether a person was named, and how surely, is left out too.
    """
    numbers: dict[str, int] = {}
    found: list[Identity | None] = []
    for one in identities:
        if one is not None:
            number = numbers.setdefault(one.person, len(numbers) + 1)
            one = Identity(f"person:{number}", f"person {number}", None, NONE, shared=one.shared)
        found.append(one)
    return found


def one_line(name: str) -> str:
    """Return a name with spaces for line breaks and other control characters."""
    return "".join(" " if unicodedata.category(c) in _CONTROL else c for c in name).strip()


def _predicted(
    cluster: int, probabilities: Mapping[str, float], shared: bool, cast: Cast, least: float
) -> Identity:
    shown = None if shared else shown_actor(allowed_names(probabilities, cast.unnamed), least)
    if shown is None:
        return Identity(f"unknown:{cluster}", f"unknown {cluster}", None, NONE, shared=shared)
    actor, probability = shown
    return Identity(actor, one_line(cast.name(actor)) or actor, actor, PREDICTION, probability)


def _annotated(person: Person, cast: Cast) -> Identity:
    """Return the identity of a person that annotators named or set apart."""
    person = without_name(person, cast.unnamed)
    member = cast.members.get(person.actor_id) if person.actor_id is not None else None
    name = member.name if member else person.name
    return Identity(person.person, one_line(name) or person.person, person.actor_id, ANNOTATOR)
