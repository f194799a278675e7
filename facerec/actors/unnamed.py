"""Show people who must not be named (`do_not_name` in `actors.csv`) without name and actor id.

They keep competing for clusters in `classify_knn.py`, so that their clusters do not get somebody else's name.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import replace

from facerec.folder.people import Person
from facerec.support.text import fold


def allowed_names(probabilities: Mapping[str, float], unnamed: Container[str]) -> dict[str, float]:
    """Return the probabilities, by actor id, of those who may be named.

    There are none if somebody in `unnamed` is the most likely: the cluster must not get the second's name.
    """
    highest = max(probabilities.values(), default=0.0)
    if any(p == highest and actor in unnamed for actor, p in probabilities.items()):
        return {}
    return {actor: p for actor, p in probabilities.items() if actor not in unnamed}


def without_name(person: Person, unnamed: Mapping[str, Collection[str]]) -> Person:
    """Return `person`, or one without name and actor id if it is somebody in `unnamed`.

    Args:
        person: found by its actor id, or by a typed name that is one of `unnamed`.
        unnamed: spellings of names by id, see `ActorDatabase.unnamed`.
    """
    typed = fold(person.name)
    for number, actor in enumerate(sorted(unnamed), start=1):
        is_typed = person.actor_id is None and typed in map(fold, unnamed[actor])
        if person.actor_id == actor or is_typed:
            return replace(person, person=f"unnamed:{number}", name=f"unnamed {number}", actor_id=None)
    return person
