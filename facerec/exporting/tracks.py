"""The trajectories of a movie with names and boxes, one after the other, for formats of boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from facerec.exporting.columns import uri_of

if TYPE_CHECKING:
    from facerec.movies.movie import Movie


@dataclass(frozen=True)
class Track:
    """One face followed through a shot.

    Attributes:
        trajectory: index in trajectories.jsonl.
        person, name, source: as in the table of people; empty where annotators say that it shows no face.
        actor_id, uri: empty if it is no actor, or has no identifier.
        begin: frame of the first box.
        boxes: one per frame, x1, y1, x2, y2.
        detected: False where the box was interpolated.
    """

    trajectory: int
    person: str
    name: str
    source: str
    actor_id: str
    uri: str
    begin: int
    boxes: list[list[int]]
    detected: list[bool]

    @property
    def end(self) -> int:
        """The frame after the last box."""
        return self.begin + len(self.boxes)


def tracks(movie: Movie) -> Iterator[Track]:
    """Yield the trajectories of a movie, in the order of trajectories.jsonl."""
    people, table = movie.people, movie.trajectories
    uris = uri_of(people)
    actors = dict(zip(people["person"], people["actor_id"].fillna(""), strict=True))
    persons, names, sources = (table[column].fillna("").tolist() for column in ("person", "name", "source"))
    for chunk in movie.box_chunks():
        owner, frames = chunk["trajectory"].to_numpy(), chunk["frame"].to_numpy()
        corners, detected = chunk[["x1", "y1", "x2", "y2"]].to_numpy(), chunk["detected"].to_numpy()
        for begin, end in pairwise([0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(owner)]):
            index = int(owner[begin])
            person = persons[index]
            yield Track(
                index,
                person,
                names[index],
                sources[index],
                actors.get(person, ""),
                uris.get(person, ""),
                int(frames[begin]),
                corners[begin:end].tolist(),
                detected[begin:end].tolist(),
            )
