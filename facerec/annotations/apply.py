"""Put annotators' answers beside a movie's predictions, in people.json."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from facerec.actors.cast import allowed_names, cast_names, without_name
from facerec.actors.database import ActorDatabase
from facerec.annotations.cvat_labels import read_cvat_labels
from facerec.annotations.export import Annotation, read_export_by_tag
from facerec.annotations.identities import MIXED, NO_FACE, NOT, ids_by_name, ids_of_label, plain_name
from facerec.errors import ContractError
from facerec.folder.documents import (
    DISPLAY_THRESHOLD,
    Predictions,
    read_clusters,
    read_predictions,
    shown_actor,
)
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import checked_stages, read_manifest, recorded_poor_pages
from facerec.folder.people import (
    ANNOTATOR,
    FORGOTTEN,
    INPUTS,
    NONE,
    PREDICTION,
    SOURCES,
    People,
    Person,
    people_bytes,
    read_people,
)
from facerec.folder.publish import keep_file
from facerec.folder.readers import read_trajectories
from facerec.folder.records import Trajectory
from facerec.interchange.cvat import is_cvat
from facerec.stages import PIPELINE
from facerec.support.atomic import sha256_of, write_changed
from facerec.support.locks import locked
from facerec.support.text import counted

MAX_LABEL = 200  # characters
_NEAR = 0.85  # ratio of `difflib`, from which one name may be another one misspelt
_UNKNOWN = re.compile("unknown_([0-9]+)")  # plain name of the person of a cluster without a name


def apply_labels(
    folder: MovieFolder, labels: Path, database: ActorDatabase, least: float = DISPLAY_THRESHOLD
) -> str:
    """Write people.json from an export of annotators' labels; returns a summary of one line.

    Labels that were made before the trajectories were clustered again, or extracted again, are applied to
    the faces that the folder still has.

    Args:
        least: probability above which a prediction names the trajectories that annotators did not judge.

    Raises:
        StaleError: a file of the folder is not the one that its stage wrote.
        ContractError: a row of the labels or a file of the folder breaks a rule.
        InputError: the labels have no face of this movie.
    """
    checked_stages(folder, PIPELINE)
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    clusters = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    predictions = read_predictions(folder.predictions, folder.movie_id, len(set(clusters)))
    made = people_from_labels(folder, labels, database, trajectories, clusters, predictions, least)
    data = people_bytes(made, len(trajectories))
    with locked(folder.lock, 0):
        if replaced := _replaced_answers(folder, made, labels):
            answers = counted(replaced, "trajectory has", "trajectories have")
            message = (
                "%s: %s another answer than before, or none any more; the earlier answers are kept in %s"
            )
            logging.warning(message, labels, answers, keep_file(folder, folder.people))
        changed = write_changed({folder.people: data})
    counts = dict.fromkeys(SOURCES, 0)
    for one in made.people:
        counts[one.source] += len(one.trajectories)
    return (
        f"{counted(len(trajectories), 'trajectory', 'trajectories')}, "
        f"{counts[ANNOTATOR]} with an annotator's answer, {counts[PREDICTION]} with a predicted name, "
        f"{counts[NONE]} without a name, "
        f"{len(made.no_face)} without a face, {len(made.mixed)} of several people"
        f"{'' if changed else '; nothing changed'}"
    )


def _replaced_answers(folder: MovieFolder, made: People, labels: Path) -> int:
    """Count the trajectories of which the answer in people.json is not the one in `made`.

    All of them count if the trajectories are others by now. Warns where a name that was forgotten comes back.
    """
    if not folder.people.exists():
        return 0
    try:
        before = read_people(folder.people, folder.movie_id)
    except ContractError as error:
        logging.warning("%s: replaced, because it cannot be read", error)
        return 0
    trajectories = INPUTS[0]
    same = before.inputs[trajectories] == made.inputs[trajectories]
    earlier, after = _answers(before), _answers(made) if same else {}
    named = {index for index, answer in after.items() if not answer.startswith(("unnamed:", "unknown:"))}
    if again := {index for index in named if earlier.get(index) == FORGOTTEN}:
        count = counted(len(again), "trajectory of a person", "trajectories of people")
        message = "%s: names %s whom forget_actor.py removed: if it is the same name, take it out of the file"
        logging.warning(message, labels, count)
    return sum(after.get(index) != answer for index, answer in earlier.items())


def _answers(people: People) -> dict[int, str]:
    """Return what annotators said of each trajectory: the id of a person, `NO_FACE` or `MIXED`."""
    named = {i: one.person for one in people.people if one.source == ANNOTATOR for i in one.trajectories}
    return named | dict.fromkeys(people.no_face, NO_FACE) | dict.fromkeys(people.mixed, MIXED)


def people_from_labels(
    folder: MovieFolder,
    labels: Path,
    database: ActorDatabase,
    trajectories: Sequence[Trajectory],
    clusters: Sequence[int],
    predictions: Predictions,
    least: float,
) -> People:
    """Return what people.json says after an export of annotators' labels; see `apply_labels`.

    Args:
        trajectories, clusters, predictions: of the folder.
    """
    if is_cvat(labels):
        rows, lost = read_cvat_labels(labels, folder, trajectories), 0
    else:
        rows, lost = read_export_by_tag(labels, folder.movie_id, trajectories)
    if lost:
        message = "%s: %d of %d rows are ignored; their faces are not in %s, which was made again since"
        logging.warning(message, labels, lost, lost + len(rows), folder.path)
    cast, unnamed = cast_names(folder, database), database.unnamed()
    ids = database.cast(None) | cast if database.actors.exists() else cast
    persons = {
        row.label: without_name(person_of_label(row.label, ids, cast), unnamed)
        for row in rows
        if plain_name(row.label)
    }
    for row in rows:
        if len(row.label) > MAX_LABEL:
            raise ContractError(labels, f"the label has more than {MAX_LABEL} characters", row.line)
    _warn_of_near_names(labels, persons.values(), cast)
    answers = trajectory_answers(rows, {label: one.person for label, one in persons.items()}, labels)
    poor = recorded_poor_pages(read_manifest(folder))
    named = predicted_persons(predictions, cast, unnamed, least)
    named = {cluster: one for cluster, one in named.items() if cluster not in poor}
    made = arrange(folder.movie_id, clusters, answers, {one.person: one for one in persons.values()}, named)
    inputs = {name: sha256_of(folder.path / name) for name in INPUTS} | {"labels": sha256_of(labels)}
    return replace(made, inputs=inputs)


def _warn_of_near_names(labels: Path, persons: Iterable[Person], cast: Mapping[str, str]) -> None:
    """Warn of names that are nearly those of actors of the cast, perhaps misspelt, or those of several."""
    ids = ids_by_name(cast)
    for _, name in sorted(
        {one.person: one.name for one in persons if one.person.startswith("typed:")}.items()
    ):
        plain = plain_name(name)
        if plain in ids:
            message = "%s: %d actors of the cast have the name %r, so it gets no actor id; label with the id"
            logging.warning(message, labels, len(ids[plain]), name)
        elif near := difflib.get_close_matches(plain, ids, 1, _NEAR):
            message = "%s: %r is no name of the cast, so it gets no actor id; did you mean %r?"
            logging.warning(message, labels, name, cast[ids[near[0]][0]])


def arrange(
    movie_id: int,
    clusters: Sequence[int],
    answers: Mapping[int, str],
    persons: Mapping[str, Person],
    named: Mapping[int, Person],
) -> People:
    """Give each trajectory to a person, by its answer or else by its cluster; `inputs` stays empty.

    Args:
        clusters: cluster of each trajectory.
        answers: see `trajectory_answers`; persons: those in the answers, by id.
        named: predicted person by cluster.
    """
    known = dict(persons)
    entries: dict[tuple[str, str], list[int]] = {}
    no_face, mixed = [], []
    for index, cluster in enumerate(clusters):
        answer = answers.get(index)
        if answer == NO_FACE:
            no_face.append(index)
            continue
        if answer == MIXED:
            mixed.append(index)
            continue
        if answer is None:
            unnamed = Person(f"unknown:{cluster}", f"unknown {cluster}", None, NONE, ())
            one = named.get(cluster, unnamed)
        elif answer.startswith(NOT):
            one = Person(f"trajectory:{index}", f"unknown, trajectory {index}", None, ANNOTATOR, ())
        else:
            one = replace(persons[answer], source=ANNOTATOR)
        known.setdefault(one.person, one)
        entries.setdefault((one.person, one.source), []).append(index)
    people = [
        replace(known[person], source=source, trajectories=indices)
        for (person, source), indices in sorted(entries.items(), key=lambda item: item[1])
    ]
    return People(movie_id, {}, people, no_face, mixed)


def person_of_label(label: str, ids: Mapping[str, str], cast: Mapping[str, str]) -> Person:
    """Return the person that a label names, without trajectories.

    Args:
        label: an actor id or a name.
        ids: names by id of all known actors; cast: those of the movie.
    """
    found = ids_of_label(label, ids, ids_by_name(cast))
    if len(found) == 1:
        actor = found[0]
        return Person(actor, cast.get(actor) or ids[actor], actor, ANNOTATOR, ())
    plain = plain_name(label)
    unknown = plain.removeprefix("unknown_")
    person = (
        f"unknown:{unknown}" if plain == f"unknown_{unknown}" and unknown.isdecimal() else f"typed:{plain}"
    )
    return Person(person, " ".join(label.split()), None, ANNOTATOR, ())


def trajectory_answers(
    rows: Iterable[Annotation], persons: Mapping[str, str], labels: Path
) -> dict[int, str]:
    """Return what annotators said of each trajectory that they judged.

    As for `evaluate.py`: a thumbnail without a usable face says nothing about a trajectory with another one,
    and a trajectory with thumbnails of two identities is mixed.

    Args:
        persons: id of the person by label; other labels are no names.
        labels: the file, for messages.

    Returns:
        By index: the id of a person, `NOT` and an id, `NO_FACE` or `MIXED`.
    """
    by_tag: dict[tuple[int, str], str] = {}
    contradictory = set()
    for row in rows:
        if row.image_status == "invalid":
            answer = NO_FACE
        elif row.cluster_status == "labeled" and row.label in persons and row.image_status:
            answer = ("" if row.image_status == "same" else NOT) + persons[row.label]
        else:
            continue
        if by_tag.setdefault((row.trajectory, row.tag), answer) != answer:
            contradictory.add((row.trajectory, row.tag))
    if contradictory:
        count = len(contradictory)
        thumbnails = counted(count, "thumbnail has", "thumbnails have")
        logging.warning("%s: %s contradictory answers, which are ignored", labels, thumbnails)
    found: dict[int, set[str]] = {}
    for key in by_tag.keys() - contradictory:
        found.setdefault(key[0], set()).add(by_tag[key])
    return {index: _common(answers) for index, answers in found.items()}


def _common(answers: set[str]) -> str:
    """Return the answer for a trajectory from the `answers` for its thumbnails."""
    faces: Sequence[str] = sorted(answers - {NO_FACE})
    return NO_FACE if not faces else faces[0] if len(faces) == 1 else MIXED


def predicted_persons(
    predictions: Predictions, cast: Mapping[str, str], unnamed: Container[str], least: float
) -> dict[int, Person]:
    """Return the most likely person of each cluster, see `shown_actor`; the persons have no trajectories.

    Args:
        unnamed: ids of actors who must not be named.
    """
    persons = {}
    for cluster, names in predictions.items():
        if shown := shown_actor(allowed_names(names, unnamed), least):
            persons[cluster] = Person(shown[0], cast.get(shown[0], shown[0]), shown[0], PREDICTION, ())
    return persons
