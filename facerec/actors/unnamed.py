"""People whom the actor database says not to name: how their appearances are told apart without a name.

They keep competing for clusters in `classify_knn.py`, so that their clusters do not get somebody else's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from facerec.folder.people import Person
from facerec.support.text import fold


def without_name(person: Person, unnamed: Mapping[str, str]) -> Person:
    """Return `person`, or one without name and actor id if it is somebody in `unnamed`.

    Args:
        person: found by its actor id, or by a typed name that is one of `unnamed`.
        unnamed: names by id, see `ActorDatabase.unnamed`.
    """
    typed = fold(person.name)
    for number, actor in enumerate(sorted(unnamed), start=1):
        if person.actor_id == actor or (person.actor_id is None and typed == fold(unnamed[actor])):
            return replace(person, person=f"unnamed:{number}", name=f"unnamed {number}", actor_id=None)
    return person
