"""The data of a report: what the JavaScript of the page draws, as one JSON value.

Faces are named without the movie id (`50:0_31_191_289` for the tag `1:50:0_31_191_289`). Frames are numbers
from 0, intervals are half-open, times are seconds. The fields:

    movie         {id, title, year, film, film_href, frames, seconds, frame_rate, width, height}; film_href
                  is the address of the film as seen from the page, or null
    times         {unit, runs}: presentation times as in plan.json: runs of [step, count] in ticks of `unit`
                  seconds
    cuts          first frame of each shot but the first
    coverage      {holes: [[begin, end]], skipped: [frames]}: what was not analysed
    images        address of the folder of thumbnails, or null
    pictures      {face: data URI} in a standalone page, else null
    made_from     {file name: SHA-256} of the results that the page shows
    people        in the order of `Movie.people`: {person, name, named, actor_id, source, probability, uri,
                  shared, clusters: [ids], trajectories: number, shots: number, seconds, share, height (of the
                  face, as a share of the frame's), first, last, spans: [begin, end, begin, end, …], faces:
                  [best first]}
    together      [[index of a person, index of another, seconds, shots]]
    clusters      by id: {names: [[actor id, name, probability]], trajectories: number, seconds, shared,
                  faces: [best first]}
    trajectories  columns by index: begin, end, cluster, person (index; -1: no face), pictures: [faces with a
                  thumbnail, by frame], quality (mean of the saved faces, 0..1)
    cast          [[actor id, name]]
    histograms    {name: {edges, counts}}
    shards        {parts: [names], rows: [{shard, begin, end, faces, saved, seconds, parts: {name: s}, host}]}
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote

import numpy as np

from facerec.actors.cast import allowed_names
from facerec.folder.documents import read_predictions
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import recorded_poor_pages
from facerec.folder.names import thumbnail_name
from facerec.folder.people import NONE
from facerec.folder.plan import planned_film_path
from facerec.movies.movie import Movie
from facerec.movies.tables import Span, union

FACES_SHOWN = 8  # best faces of a person or a cluster
_HEIGHTS, _QUALITIES = 12, 10  # bars of the histograms
_NAMELESS = ("unknown:", "unnamed:", "trajectory:")  # ids of people whose name is not known or not shown


@dataclass(frozen=True)
class _Face:
    """A saved face: its name without the movie id, its quality 0..1, and whether it has a thumbnail."""

    name: str
    quality: float
    shown: bool


Faces = list[list[_Face]]  # by trajectory, by frame


def page_data(movie: Movie, page: Path) -> dict[str, Any]:
    """Return the data of the report on `movie` that is written to `page`; see the module for its fields.

    Raises:
        ContractError: a file of the folder breaks a rule.
    """
    folder = MovieFolder(movie.path)
    faces = _faces(movie, folder)
    trajectories = movie.trajectories
    index = {person: i for i, person in enumerate(movie.people["person"])}
    owners = [index[person] if isinstance(person, str) else -1 for person in trajectories["person"]]
    return {
        "movie": _movie(movie, folder, page),
        "times": {"unit": float(Fraction(movie.plan.video["time_base"])), "runs": movie.plan.video["times"]},
        "cuts": movie.shots["begin"].tolist()[1:],
        "coverage": {
            "holes": movie.manifest.get("shards", {}).get("missing_frames", []),
            "skipped": movie.manifest.get("skipped_frames", []),
        },
        "images": relative_address(folder.images, page)
        if any(face.shown for face in chain(*faces))
        else None,
        "pictures": None,
        "made_from": {
            path.name: _recorded_hash(movie.manifest, path.name)
            for path in (folder.trajectories, folder.clusters, folder.predictions)
        },
        "people": _people(movie, owners, faces),
        "together": [
            [index[row.person_a], index[row.person_b], round(row.seconds, 3), row.shots]
            for row in movie.co_presence.itertuples()
        ],
        "clusters": _clusters(movie, folder, faces),
        "trajectories": {
            "begin": trajectories["begin"].tolist(),
            "end": trajectories["end"].tolist(),
            "cluster": trajectories["cluster"].tolist(),
            "person": owners,
            "pictures": [[face.name for face in saved if face.shown] for saved in faces],
            "quality": [round(fmean(face.quality for face in saved), 3) if saved else 0 for saved in faces],
        },
        "cast": movie.cast[["actor_id", "name"]].to_numpy().tolist(),
        "histograms": _histograms(movie),
        "shards": _shards(movie.manifest),
    }


def relative_address(target: Path, page: Path) -> str:
    """Return the address of a file as seen from the page, with every special character encoded."""
    return quote(os.path.relpath(target.absolute(), page.absolute().parent))


def _movie(movie: Movie, folder: MovieFolder, page: Path) -> dict[str, Any]:
    film = planned_film_path(folder)
    return {
        "id": movie.movie_id,
        "title": movie.title or f"Movie {movie.movie_id}",
        "year": movie.year,
        "film": movie.film_name,
        "film_href": relative_address(film, page) if film.is_file() else None,
        "frames": movie.frame_count,
        "seconds": round(movie.duration_s, 3),
        "frame_rate": movie.frame_rate,
        "width": movie.width,
        "height": movie.height,
    }


def _recorded_hash(manifest: Mapping[str, Any], name: str) -> str:
    outputs = (stage["outputs"] for stage in manifest["stages"].values())
    return str(next((found[name] for found in outputs if name in found), ""))


def _faces(movie: Movie, folder: MovieFolder) -> Faces:
    """Return the saved faces of each trajectory."""
    present = {entry.name for entry in os.scandir(folder.images)} if folder.images.is_dir() else set()
    by_trajectory: Faces = [[] for _ in range(len(movie.trajectories))]
    saved = movie.faces.dropna(subset="trajectory")
    for tag, trajectory, quality in zip(saved["tag"], saved["trajectory"], saved["quality"], strict=True):
        face = _Face(tag.partition(":")[2], float(quality), thumbnail_name(tag) in present)
        by_trajectory[trajectory].append(face)
    return by_trajectory


def _best(faces: Sequence[Sequence[_Face]]) -> list[str]:
    """Return the best faces with a thumbnail of some trajectories: first the best one of each."""
    ranked = [sorted((face for face in saved if face.shown), key=lambda f: -f.quality) for saved in faces]
    order = sorted(((rank, -face.quality, face.name) for saved in ranked for rank, face in enumerate(saved)))
    return [name for *_, name in order[:FACES_SHOWN]]


def _people(movie: Movie, owners: Sequence[int], faces: Faces) -> list[dict[str, Any]]:
    presence: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for row in movie.presence.itertuples():
        presence[row.person].append((row.begin, row.end))
    members: dict[int, list[int]] = defaultdict(list)
    for trajectory, owner in enumerate(owners):
        members[owner].append(trajectory)
    return [
        {
            "person": row.person,
            "name": row.name,
            "actor_id": row.actor_id if isinstance(row.actor_id, str) else None,
            "named": is_named(row.person, row.source),
            "source": row.source,
            "probability": None if row.probability != row.probability else round(row.probability, 4),
            "uri": row.uri,
            "shared": bool(row.shared),
            "clusters": list(row.clusters),
            "trajectories": row.n_trajectories,
            "shots": row.n_shots,
            "seconds": round(row.seconds, 3),
            "share": round(row.share, 5),
            "height": round(row.face_height, 4),
            "first": row.first,
            "last": row.last,
            "spans": [frame for span in union(presence[row.person]) for frame in span],
            "faces": _best([faces[trajectory] for trajectory in members[i]]),
        }
        for i, row in enumerate(movie.people.itertuples(index=False))
    ]


def is_named(person: str, source: str) -> bool:
    """Return whether a person has a name; annotators may set somebody apart without giving one."""
    return source != NONE and not person.startswith(_NAMELESS)


def _clusters(movie: Movie, folder: MovieFolder, faces: Faces) -> list[dict[str, Any]]:
    trajectories = movie.trajectories
    names = dict(zip(movie.cast["actor_id"], movie.cast["name"], strict=True))
    shared = recorded_poor_pages(movie.manifest)
    members: dict[int, list[int]] = defaultdict(list)
    for trajectory, cluster in enumerate(trajectories["cluster"].tolist()):
        members[cluster].append(trajectory)
    spans = list(zip(trajectories["begin"].tolist(), trajectories["end"].tolist(), strict=True))
    return [
        {
            "names": [
                [actor, names.get(actor, actor), p]
                for actor, p in sorted(allowed_names(likely, movie.unnamed).items(), key=lambda e: -e[1])
            ],
            "trajectories": len(members[cluster]),
            "seconds": round(_seconds(movie, [spans[t] for t in members[cluster]]), 3),
            "shared": cluster in shared,
            "faces": _best([faces[trajectory] for trajectory in members[cluster]]),
        }
        for cluster, likely in sorted(read_predictions(folder.predictions, movie.movie_id).items())
    ]


def _seconds(movie: Movie, spans: Sequence[Span]) -> float:
    """Return how long at least one of the spans is shown."""
    return sum(float(movie.times.between(begin, end)) for begin, end in union(spans))


def _histograms(movie: Movie) -> dict[str, Any]:
    faces = movie.faces
    if not len(faces):
        return {}
    heights = (faces["y2"] - faces["y1"]).to_numpy()
    top = int(-(-heights.max() // _HEIGHTS) * _HEIGHTS)
    return {
        "height": _histogram(heights, np.linspace(0, top, _HEIGHTS + 1)),
        "quality": _histogram(faces["quality"].to_numpy(), np.linspace(0, 1, _QUALITIES + 1)),
    }


def _histogram(values: Any, edges: Any) -> dict[str, Any]:
    counts, _ = np.histogram(values, edges)
    return {"edges": [round(float(edge), 3) for edge in edges], "counts": counts.tolist()}


def _shards(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the timings of the shards, as their markers reported them."""
    rows, parts = [], dict[str, None]()
    for report in manifest.get("shards", {}).get("reports", []):
        by_part = report.get("stage_seconds") or {}
        parts.update(dict.fromkeys(by_part))
        begin, end = report["range"]
        row = {"shard": report["shard"], "begin": begin, "end": end, "parts": by_part}
        rows.append(row | {key: report.get(key) for key in ("faces", "saved", "seconds", "host")})
    return {"parts": list(parts), "rows": rows}
