"""`coco`: boxes and keypoints of the saved faces, for training (COCO object detection and keypoints).

An image is a frame of the film with a saved face; `file_name` is the name to save it under, for example with
`movie.frame(number).save(name)`, where `number` is the image's `frame`. Frames that have no saved face are no
images, although faces may be seen in them. Who a face is, its quality and its tag are among its `attributes`.
Faces that annotators called no face are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from facerec.exporting.clock import STATEMENT
from facerec.geometry import KEYPOINTS

if TYPE_CHECKING:
    from facerec.movies.movie import Movie

_VISIBLE = 2  # COCO: labeled and visible
_CATEGORY = {"id": 1, "name": "face", "supercategory": "person", "keypoints": list(KEYPOINTS), "skeleton": []}


def export(movies: Sequence[Movie], suffix: str) -> Iterator[bytes]:
    """Yield the file of all `movies`."""
    info = {
        "description": f"Faces in films. {STATEMENT}",
        "version": movies[0].plan.program if movies else "",
    }
    head = {"info": info, "licenses": [], "categories": [_CATEGORY]}
    images: list[dict[str, Any]] = []
    yield orjson.dumps(head)[:-1] + b',"annotations":['
    count = 0
    for movie in movies:
        for annotation in _annotations(movie, images):
            count += 1
            yield b"," * (count > 1) + orjson.dumps(
                {"id": count, **annotation}, option=orjson.OPT_SERIALIZE_NUMPY
            )
    yield b'],"images":' + orjson.dumps(images) + b"}\n"


def _annotations(movie: Movie, images: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the faces of a movie; appends their frames to `images`."""
    people = movie.people.set_index("person")
    identities = movie.trajectories[["trajectory", "person", "name", "source"]]
    faces = movie.faces.merge(identities, on="trajectory", how="left")
    faces = faces[faces["trajectory"].isna() | faces["person"].notna()]
    faces[["person", "name", "source"]] = faces[["person", "name", "source"]].fillna("")
    last = -1
    followed = faces["trajectory"].notna()
    for face, is_followed in zip(faces.itertuples(), followed, strict=True):
        if face.frame != last:
            last = face.frame
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": f"{movie.movie_id}-{face.frame:07}.png",
                    "width": movie.width,
                    "height": movie.height,
                    "movie_id": movie.movie_id,
                    "frame": int(face.frame),
                    "time_s": round(face.time_s, 6),
                }
            )
        w, h = int(face.x2 - face.x1), int(face.y2 - face.y1)
        points = [(round(x, 2), round(y, 2), _VISIBLE) for x, y in face.keypoints.tolist()]
        yield {
            "image_id": len(images),
            "category_id": 1,
            "bbox": [int(face.x1), int(face.y1), w, h],
            "area": w * h,
            "iscrowd": 0,
            "keypoints": list(chain.from_iterable(points)),
            "num_keypoints": len(KEYPOINTS),
            "attributes": {
                "tag": face.tag,
                "trajectory": int(face.trajectory) if is_followed else None,
                "person": face.person,
                "name": face.name,
                "source": face.source,
                "uri": people["uri"].get(face.person, ""),
                "quality": round(float(face.quality), 4),
            },
        }
