"""Remove a person's name from a movie folder and from the logs of its jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import orjson

from facerec.folder.documents import predictions_bytes, read_clusters, read_predictions
from facerec.folder.layout import MovieFolder
from facerec.folder.people import ANNOTATOR, NONE, People, Person, people_bytes, read_people
from facerec.forgetting.subject import Subject
from facerec.forgetting.traces import has_trace, without_traces
from facerec.support.atomic import sha256_of, write_bytes
from facerec.support.locks import locked

_TEXTS = (".log", ".out", ".err", ".json", ".txt", ".csv", ".sh")


def forget_in_folder(folder: MovieFolder, subject: Subject) -> list[str]:
    """Remove the person from a folder, also from a copy of handover.py; returns the names of changed files.

    Pages, sheets and exports that show the person are deleted; the commands that made them make them again.
    """
    with locked(folder.lock, 0):
        predicted = sha256_of(folder.predictions) if folder.predictions.exists() else ""
        versions = sorted(path for path in folder.previous.glob("*") if path.is_dir())
        changed = [
            path for place in (folder.path, *versions) for path in _forget_results(folder, place, subject)
        ]
        changed += _forget_people(folder, subject, predicted)
        for path in _shown(folder):
            if path.suffix == ".png" or has_trace(path, subject):
                path.unlink()
                changed.append(path)
        changed += _forget_logs(folder.logs, subject)
    return [path.relative_to(folder.path.parent).as_posix() for path in changed]


def _shown(folder: MovieFolder) -> Iterator[Path]:
    """Yield the files for people that can be made again."""
    for path in (folder.report, folder.standalone_report, folder.contact_sheet):
        if path.exists():
            yield path
    if folder.exports.is_dir():
        yield from sorted(path for path in folder.exports.rglob("*") if path.is_file())


def _forget_results(folder: MovieFolder, place: Path, subject: Subject) -> Iterator[Path]:
    """Remove the person from predictions and manifest in the folder, or in a version kept in `previous`."""
    predictions, manifest = place / folder.predictions.name, place / folder.manifest.name
    before = sha256_of(predictions) if predictions.exists() else ""
    if before:
        rows = read_predictions(predictions, folder.movie_id)
        if any(subject.actor_id in row for row in rows.values()):
            kept = {
                cluster: {actor: p for actor, p in row.items() if actor != subject.actor_id}
                for cluster, row in rows.items()
            }
            write_bytes(predictions, predictions_bytes(folder.movie_id, kept))
            yield predictions
    if not manifest.exists():
        return
    text = manifest.read_bytes()
    record = orjson.loads(text)
    for stage in record.get("stages", {}).values():
        cast = stage.get("report", {}).get("cast")
        if isinstance(cast, dict):
            cast.pop(subject.actor_id, None)
    if before:  # wherever the hash of the predictions is recorded
        after = sha256_of(predictions)
        record = orjson.loads(orjson.dumps(record).replace(before.encode(), after.encode()))
    if record != orjson.loads(text):
        write_bytes(manifest, orjson.dumps(record, option=orjson.OPT_INDENT_2))
        yield manifest


def _forget_people(folder: MovieFolder, subject: Subject, predicted: str) -> list[Path]:
    """Take the person's name out of people.json; the trajectories stay together.

    Args:
        predicted: hash of the predictions before the person was taken out of them.
    """
    if not folder.people.exists():
        return []
    people = read_people(folder.people, folder.movie_id)
    clusters = read_clusters(folder.clusters, folder.movie_id) if folder.clusters.exists() else []
    kept: list[Person] = []
    freed: dict[tuple[str, str], Person] = {}
    for one in people.people:
        if not (one.actor_id == subject.actor_id or subject.bears(one.name)):
            kept.append(one)
            continue
        for index in one.trajectories:
            if one.source == ANNOTATOR:
                fresh = Person("unnamed:forgotten", "unnamed", None, ANNOTATOR, ())
            else:
                cluster = clusters[index]
                fresh = Person(f"unknown:{cluster}", f"unknown {cluster}", None, NONE, ())
            before = freed.get((fresh.person, fresh.source), fresh)
            freed[fresh.person, fresh.source] = replace(before, trajectories=[*before.trajectories, index])
    inputs = dict(people.inputs)
    if predicted and inputs.get(folder.predictions.name) == predicted:
        inputs[folder.predictions.name] = sha256_of(folder.predictions)
    merged = _merged([*kept, *freed.values()])
    found = People(people.movie_id, inputs, merged, people.no_face, people.mixed)
    total = sum(len(one.trajectories) for one in merged) + len(people.no_face) + len(people.mixed)
    data = people_bytes(found, total)
    if data == folder.people.read_bytes():
        return []
    write_bytes(folder.people, data)
    return [folder.people]


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
