"""Decides who is seen in each trajectory: the annotators' word first, then predictions, else nobody known."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from facerec.actors.cast import Cast
from facerec.folder.documents import Predictions, shown_actor
from facerec.folder.people_document import PREDICTION, PeopleDocument, PersonRecord

UNNAMED = "none"  # source of a person without a name
_CONTROL = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories


@dataclass(frozen=True)
class Identity:
    """Who a trajectory shows.

    Attributes:
        person: id; trajectories with equal ids show one person. An actor id, `name:` and a plain name,
            `cluster:` and the id of an unnamed cluster, or `trajectory:` and an index.
        name: on one line; `unknown 17` for an unnamed person of cluster 17.
        actor_id: None if it is no actor of the cast.
        source: `annotator`, `prediction` or `none`.
        probability: of the prediction; None where it is not the source.
        shared: a page that trajectories too poor to compare share; it is not one person.
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
    said: PeopleDocument | None,
    least: float,
) -> list[Identity | None]:
    """Decide who each trajectory shows; None where annotators say that it shows no face.

    Two clusters with the same predicted actor are one person. Of two equally likely actors neither is the
    cluster's.

    Args:
        clusters: cluster of each trajectory.
        shared_pages: clusters that are not one person.
        said: what annotators said; it wins over predictions.
        least: a prediction needs a probability above this.
    """
    by_cluster = {
        cluster: _predicted(cluster, predictions.get(cluster, {}), cluster in shared_pages, cast, least)
        for cluster in sorted(set(clusters))
    }
    found: list[Identity | None] = [by_cluster[cluster] for cluster in clusters]
    for record in said.people if said else ():
        if record.trajectories:
            identity = _said(record, clusters[record.trajectories[0]], cast)
            for index in record.trajectories:
                found[index] = identity
    for index in said.no_face if said else ():
        found[index] = None
    return found


def one_line(name: str) -> str:
    """Return a name with spaces for line breaks and other control characters."""
    return "".join(" " if unicodedata.category(c) in _CONTROL else c for c in name).strip()


def _predicted(
    cluster: int, probabilities: Mapping[str, float], shared: bool, cast: Cast, least: float
) -> Identity:
    shown = None if shared else shown_actor(probabilities, least)
    if shown is None:
        return Identity(f"cluster:{cluster}", f"unknown {cluster}", None, UNNAMED, shared=shared)
    actor, probability = shown
    return Identity(actor, one_line(cast.name(actor)) or actor, actor, PREDICTION, probability)


def _said(record: PersonRecord, cluster: int, cast: Cast) -> Identity:
    """Return the identity of a person that annotators named or set apart; `cluster` is of its first face."""
    named = cast.name(record.actor_id) if record.actor_id is not None else record.name
    name = one_line(named) or one_line(record.name)
    if name:
        return Identity(record.actor_id or record.person, name, record.actor_id, record.source)
    return Identity(record.person, f"unknown {cluster} ({record.person.replace(':', ' ')})", None, UNNAMED)
