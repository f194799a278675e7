"""Turn the labeling backend's export into people: who annotators said is seen in which trajectories.

A thumbnail shows the label of its cluster if the cluster is `labeled` and the thumbnail is not `different`
or `invalid`. A trajectory is who its thumbnails show, `invalid` ones apart; it shows no face if all of them
are `invalid`. A trajectory with thumbnails of two people, or with only `different` ones, is unnamed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from facerec.annotations.export import Annotation, read_export
from facerec.annotations.identities import plain_name
from facerec.errors import ContractError
from facerec.folder.layout import MovieFolder
from facerec.folder.people_document import MAX_NAME, PeopleDocument, PersonRecord
from facerec.folder.records import Trajectory
from facerec.support.atomic import sha256_of

_NO_FACE, _SOMEBODY_ELSE = "", "?"  # answers for a thumbnail that are no person id


def people_from_labels(
    labels: Path, folder: MovieFolder, trajectories: Sequence[Trajectory], cast: Mapping[str, str]
) -> PeopleDocument:
    """Read what the export `labels` says about the people of a folder.

    A label is an actor id, the name of exactly one actor of `cast`, or another typed name, which becomes a
    person of its own. Thumbnails with contradictory rows are ignored, with a warning.

    Args:
        trajectories: of the folder.
        cast: names of actors by id.

    Raises:
        ContractError: a row cannot be used.
        InputError: the file has no row of this movie.
    """
    resolver = _Labels(cast)
    answers: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in read_export(labels, folder.movie_id, trajectories):
        if len(row.label) > MAX_NAME:
            raise ContractError(labels, f"the label has more than {MAX_NAME} characters", row.line)
        answer = _answer(row, resolver)
        if answer is not None:
            answers[row.trajectory][row.tag].add(answer)
    contradictory = sum(len(said) > 1 for tags in answers.values() for said in tags.values())
    if contradictory:
        logging.warning("%s: %d thumbnails have contradictory answers and are ignored", labels, contradictory)
    members: dict[str, list[int]] = defaultdict(list)
    no_face = []
    for index in sorted(answers):
        shown = {answer for said in answers[index].values() if len(said) == 1 for answer in said}
        if shown == {_NO_FACE}:
            no_face.append(index)
        elif persons := shown - {_NO_FACE}:
            one_person = len(persons) == 1 and persons != {_SOMEBODY_ELSE}
            members[persons.pop() if one_person else f"trajectory:{index}"].append(index)
    made_from = {path.name: sha256_of(path) for path in (folder.trajectories, folder.clusters)}
    people = tuple(
        PersonRecord(
            person,
            resolver.names.get(person, ""),
            person if person in cast else None,
            tuple(indices),
        )
        for person, indices in sorted(members.items(), key=lambda item: item[1])
    )
    return PeopleDocument(folder.movie_id, made_from, people, tuple(no_face))


class _Labels:
    """Person ids of labels; `names` collects the name of each."""

    def __init__(self, cast: Mapping[str, str]) -> None:
        self.names = dict(cast)
        self._cast = cast
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for actor, name in cast.items():
            self._by_name[plain_name(name)].append(actor)

    def person(self, label: str) -> str:
        """Return the id of the person that a label means."""
        if label in self._cast:
            return label
        plain = plain_name(label)
        namesakes = self._by_name.get(plain, []) if plain else []
        if len(namesakes) == 1:
            return namesakes[0]
        person = f"name:{plain or label}"
        self.names.setdefault(person, label)
        return person


def _answer(row: Annotation, labels: _Labels) -> str | None:
    """Return what a row says of its thumbnail: a person id, no face, somebody else, or None for nothing."""
    if row.image_status == "invalid":
        return _NO_FACE
    if row.cluster_status != "labeled" or not row.label:
        return None
    return _SOMEBODY_ELSE if row.image_status == "different" else labels.person(row.label)
