"""The person to be forgotten, and everything by which files may refer to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facerec.actors.aspect_ratios import read_aspect_rows
from facerec.actors.database import ActorDatabase
from facerec.actors.people import KnownPerson, known_people, name_key
from facerec.actors.provenance import read_origins
from facerec.errors import InputError
from facerec.support.atomic import sha256_of


class UnknownPersonError(InputError):
    """No row of `actors.csv` has the person."""


@dataclass(frozen=True)
class Subject:
    """The person to be forgotten.

    Attributes:
        actor_id: in `actors.csv`.
        names: spellings in `actors.csv`, and those that the user or annotators gave.
        shared_names: those that another person has as well, folded; files may keep them.
        titles: names of films, and of other people's roles, in which a name of the person is no trace.
        pictures: file names of their pictures, of the faces learnt from films too.
        others_pictures: those of `pictures` that rows of other people name as well.
        hashes: SHA-256 of the pictures that exist.
        vectors: (m, d) float32, embeddings of the faces in the pictures.
        learnt_hashes: those of `hashes` that belong to faces learnt from films.
        own_vectors: (n, d) float32, those of `vectors` that belong to other pictures.
    """

    actor_id: str
    names: tuple[str, ...]
    shared_names: frozenset[str]
    titles: frozenset[str]
    pictures: tuple[str, ...]
    others_pictures: frozenset[str]
    hashes: frozenset[str]
    vectors: NDArray[np.float32]
    learnt_hashes: frozenset[str]
    own_vectors: NDArray[np.float32]

    def bears(self, name: str) -> bool:
        """Return whether `name` is a spelling of theirs that nobody else has."""
        own = {name_key(one) for one in self.names} - {name_key(one) for one in self.shared_names}
        return name_key(name) in own

    def without_learnt_faces(self) -> Subject:
        """Return the person without the faces learnt from films, which are faces of these films too."""
        return replace(self, hashes=self.hashes - self.learnt_hashes, vectors=self.own_vectors)


def find_subject(database: ActorDatabase, actor: str, more_names: Collection[str] = ()) -> Subject:
    """Find a person by actor id, or by a name that only one person has.

    Args:
        more_names: other spellings; with them `actor` may be an id that `actors.csv` does not have any more.

    Raises:
        UnknownPersonError: nobody has the id or the name.
        InputError: several people are meant.
        ContractError: a table cannot be read.
    """
    people = known_people(database)
    if more_names and not (actor in people or _namesakes(people, actor)):
        people[actor] = KnownPerson(actor)
    meant = [actor] if actor in people else _namesakes(people, actor)
    if len(meant) > 1:
        raise InputError(f"{actor!r} is the name of {len(meant)} people: give an id: {', '.join(meant)}")
    if not meant:
        raise UnknownPersonError(
            f"{database.actors}: no row has the id or the name {actor!r}; for an id that was there, add the "
            "name: --name NAME"
        )
    found = people[meant[0]]
    names = tuple(dict.fromkeys(name for name in (*found.names, *more_names) if name.strip()))
    others = {name_key(name) for one in people.values() if one is not found for name in one.names}
    titles = set()
    for _, _, row in database.read_actors() if database.actors.exists() else ():
        titles |= {row["movie_name"]} | ({row["role"]} if row["id"] != found.actor_id else set())
    sizes = database.aspect_ratios
    titles |= {row.name for row in read_aspect_rows(sizes)} if sizes.exists() else set()
    own: dict[str, None] = {}
    of_others = set()
    for _, row in database.read_images() if database.images.exists() else ():
        if row["actor_id"] == found.actor_id:
            own[row["filename"]] = None
        else:
            of_others.add(row["filename"])
    origins = read_origins(database).values()
    learnt = {one.filename for one in origins if one.learnt and one.actor_id == found.actor_id}
    own |= dict.fromkeys(sorted(learnt))
    hashes = {name: sha256_of(path) for name in own if (path := database.picture(name)).is_file()}
    vectors = {
        faces.image: faces.vectors
        for _, faces in (database.read_embeddings() if database.embeddings.exists() else ())
        if faces.image in own and len(faces.vectors)
    }
    return Subject(
        found.actor_id,
        names,
        frozenset(name for name in names if name_key(name) in others),
        frozenset(title for title in titles if title.strip()),
        tuple(own),
        frozenset(own.keys() & of_others),
        frozenset(hashes.values()),
        _together(list(vectors.values())),
        frozenset(digest for name, digest in hashes.items() if name in learnt),
        _together([rows for name, rows in vectors.items() if name not in learnt]),
    )


def _together(vectors: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(vectors) if vectors else np.empty((0, 0), np.float32)


def _namesakes(people: Mapping[str, KnownPerson], name: str) -> list[str]:
    return [actor for actor, one in people.items() if name_key(name) in map(name_key, one.names)]
