"""Remove a person's name from a movie folder and from the logs of its jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import orjson

from facerec.folder.documents import predictions_bytes, read_clusters, read_predictions
from facerec.folder.layout import INDEX_MARK, MovieFolder
from facerec.folder.people import ANNOTATOR, FORGOTTEN, NONE, People, Person, people_bytes, read_people
from facerec.forgetting.subject import Subject
from facerec.forgetting.traces import is_short, trace_in, without_traces
from facerec.support.atomic import write_bytes
from facerec.support.jsonl import read_json
from facerec.support.locks import locked

_TEXTS = (".log", ".out", ".err", ".json", ".txt", ".csv", ".sh")


def earlier_versions(folder: MovieFolder) -> list[Path]:
    """Return the earlier versions of a movie folder: its own, and those that handover.py kept beside it."""
    beside = folder.path.parent / folder.previous.name
    kept = [*folder.previous.glob("*"), *beside.glob(f"{folder.path.name}-*")]
    return sorted(path for path in kept if path.is_dir())


def typed_names(folder: MovieFolder, subject: Subject) -> set[str]:
    """Return the spellings of the person's name that annotators typed."""
    files = (place / folder.people.name for place in (folder.path, *earlier_versions(folder)))
    people = (one for path in files if path.exists() for one in read_people(path, folder.movie_id).people)
    return {one.name for one in people if subject.bears(one.name)}


def forget_in_folder(folder: MovieFolder, subject: Subject) -> list[str]:
    """Remove the person from a folder, also from a copy of handover.py; returns the names of changed files.

    Pages, sheets and exports that show the person are deleted; the commands that made them make them again.
    The predictions go last, with the file that records their hash before them: a run that is stopped leaves
    nothing that the next run cannot find.
    """
    with locked(folder.lock, 0):
        changed: list[Path] = []
        for path in shown_files(folder):
            if path.suffix == ".png" or is_short(subject.actor_id) or trace_in(path, subject):
                path.unlink()
                changed.append(path)
        changed += _forget_logs(folder.logs, subject)
        for place in (*earlier_versions(folder), folder.path):
            changed += _forget_people(folder, place, subject)
            changed += _forget_results(folder, place, subject)
    return [os.path.relpath(path, folder.path.parent) for path in changed]


def shown_files(folder: MovieFolder) -> Iterator[Path]:
    """Yield the files for people that can be made again; the index beside the folder too."""
    if folder.index.is_file() and INDEX_MARK in folder.index.read_bytes()[:4096]:
        yield folder.index
    for path in (folder.report, folder.standalone_report, folder.contact_sheet):
        if path.exists():
            yield path
    if folder.exports.is_dir():
        yield from sorted(path for path in folder.exports.rglob("*") if path.is_file())


def _predictions_without(folder: MovieFolder, place: Path, subject: Subject) -> tuple[bytes, str, str]:
    """Return the predictions in `place` without the person, and their hashes before and after that.

    All are empty if there are no predictions; hashes are equal if they do not have the person.
    """
    predictions = place / folder.predictions.name
    if not predictions.exists():
        return b"", "", ""
    content = predictions.read_bytes()
    before = sha256(content).hexdigest()
    rows = read_predictions(predictions, folder.movie_id)
    if any(subject.actor_id in row for row in rows.values()):
        kept = {
            cluster: {actor: p for actor, p in row.items() if actor != subject.actor_id}
            for cluster, row in rows.items()
        }
        content = predictions_bytes(folder.movie_id, kept)
    return content, before, sha256(content).hexdigest()


def _forget_results(folder: MovieFolder, place: Path, subject: Subject) -> Iterator[Path]:
    """Remove the person from manifest and predictions in the folder, or in an earlier version of it."""
    content, before, after = _predictions_without(folder, place, subject)
    manifest = place / folder.manifest.name
    if manifest.exists():
        record = read_json(manifest, lambda value: value)
        text = orjson.dumps(_without_actor(record, subject), option=orjson.OPT_INDENT_2)
        if before:  # wherever the hash of the predictions is recorded
            text = text.replace(before.encode(), after.encode())
        if orjson.loads(text) != record:
            write_bytes(manifest, text)
            yield manifest
    if before != after:
        write_bytes(place / folder.predictions.name, content)
        yield place / folder.predictions.name


def _without_actor(record: object, subject: Subject) -> object:
    """Return a manifest without the person in the casts that its stages record."""
    if not isinstance(record, dict):
        return record
    return {
        key: {actor: name for actor, name in value.items() if actor != subject.actor_id}
        if key == "cast" and isinstance(value, dict)
        else _without_actor(value, subject)
        for key, value in record.items()
    }


def _forget_people(folder: MovieFolder, place: Path, subject: Subject) -> list[Path]:
    """Take the person's name out of people.json in the folder, or in an earlier version of it.

    The trajectories stay together. The predictions must still have the person.
    """
    path = place / folder.people.name
    if not path.exists():
        return []
    _, before, after = _predictions_without(folder, place, subject)
    people = read_people(path, folder.movie_id)
    grouped = place / folder.clusters.name
    clusters = read_clusters(grouped, folder.movie_id) if grouped.exists() else []
    kept: list[Person] = []
    freed: dict[tuple[str, str], Person] = {}
    for one in people.people:
        if not (one.actor_id == subject.actor_id or subject.bears(one.name)):
            kept.append(one)
            continue
        for index in one.trajectories:
            if one.source == ANNOTATOR or index >= len(clusters):
                fresh = Person(FORGOTTEN, "unnamed", None, ANNOTATOR, ())
            else:
                cluster = clusters[index]
                fresh = Person(f"unknown:{cluster}", f"unknown {cluster}", None, NONE, ())
            same = freed.get((fresh.person, fresh.source), fresh)
            freed[fresh.person, fresh.source] = replace(same, trajectories=[*same.trajectories, index])
    inputs = dict(people.inputs)
    if before and inputs.get(folder.predictions.name) == before:
        inputs[folder.predictions.name] = after
    merged = _merged([*kept, *freed.values()])
    found = People(people.movie_id, inputs, merged, people.no_face, people.mixed)
    total = sum(len(one.trajectories) for one in merged) + len(people.no_face) + len(people.mixed)
    data = people_bytes(found, total)
    if data == path.read_bytes():
        return []
    write_bytes(path, data)
    return [path]


def _merged(people: list[Person]) -> list[Person]:
    """Return the persons, those of one id and source as one, in the order of their first trajectories."""
    by_key: dict[tuple[str, str], Person] = {}
    for one in people:
        before = by_key.get((one.person, one.source))
        indices = sorted([*(before.trajectories if before else ()), *one.trajectories])
        by_key[one.person, one.source] = replace(one, trajectories=indices)
    return sorted(by_key.values(), key=lambda one: list(one.trajectories))


def _forget_logs(logs: Path, subject: Subject) -> list[Path]:
    """Replace the person's name and id in the logs of a movie's jobs."""
    changed = []
    for path in sorted(logs.rglob("*")) if logs.is_dir() else ():
        if path.is_symlink() or not path.is_file() or path.suffix not in _TEXTS:
            continue
        before = path.read_bytes()
        after = without_traces(before, subject)
        if after != before:
            write_bytes(path, after)
            changed.append(path)
    return changed
