"""`cvat`: boxes and identities to be corrected in CVAT (CVAT for video 1.1), one track per trajectory.

In CVAT, create a task with the film and a label `face` with the text attributes `person`, `uri`,
`trajectory` and `proposed` (not mutable), and upload the file as annotations. Every box is a keyframe;
`occluded` marks boxes that were interpolated; `outside` ends each track. Boxes are in stored pixels, as CVAT
decodes the film. `person` is the name, or the actor id where two people have one name; `unknown 17` where
nobody is known, and `NOT_A_FACE` where annotators said so. `proposed` repeats `person` where it is no
annotator's answer: it becomes one when `person` is changed, or `proposed` is emptied.

After corrections, export the task as "CVAT for video 1.1". `evaluate.py --truth`, `learn_from_labels.py
--labels`, `apply_labels.py --labels` and `export.py --labels` take the file. They use `person`,
`proposed` and the boxes; `uri` and `trajectory` are for people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from facerec.annotations.cvat_labels import PERSON, PROPOSED
from facerec.annotations.identities import NO_FACE
from facerec.exporting.clock import STATEMENT
from facerec.exporting.tracks import Track, tracks
from facerec.folder.people import ANNOTATOR
from facerec.interchange.cvat import LABEL, CvatBox, CvatTask, CvatTrack

if TYPE_CHECKING:
    from facerec.movies.movie import Movie


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the file of one movie."""
    (movie,) = movies
    task = CvatTask(
        f"{movie.movie_id} {movie.title}",
        movie.film_name,
        movie.frame_count,
        *movie.stored_size,
        (PERSON, "uri", "trajectory", PROPOSED),
        f"Frames are numbered from 0 as they are decoded. {STATEMENT}",
    )
    namesakes = Counter(movie.people["name"])
    for part in task.to_xml(_cvat_track(movie, track, namesakes) for track in tracks(movie)):
        yield part.encode()


def _cvat_track(movie: Movie, track: Track, namesakes: Counter[str]) -> CvatTrack:
    width, height = movie.stored_size
    sx, sy = width / movie.width, height / movie.height
    name = track.actor_id if track.actor_id and namesakes[track.name] > 1 else track.name
    values = {PERSON: name or NO_FACE, "uri": track.uri, "trajectory": str(track.trajectory)}
    values[PROPOSED] = "" if track.source == ANNOTATOR else name
    boxes = [
        CvatBox(frame, (sx * x1, sy * y1, sx * x2, sy * y2), False, True, not detected, values)
        for frame, ((x1, y1, x2, y2), detected) in enumerate(
            zip(track.boxes, track.detected, strict=True), track.begin
        )
    ]
    if track.end < movie.frame_count:  # CVAT refuses a frame after the film
        boxes.append(CvatBox(track.end, boxes[-1].corners, True, True, False, values))
    return CvatTrack(track.trajectory, LABEL, boxes)
