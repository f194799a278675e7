"""Rules for the thumbnails in images/: their names, their pixels, and the faces that they show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from facerec.actors.pictures import DECODER_ERRORS
from facerec.checks.violations import Expected, Violations
from facerec.folder.layout import MovieFolder
from facerec.folder.names import parse_tag, tag_of
from facerec.folder.records import Trajectory
from facerec.folder.thumbnails import THUMBNAIL_SIDE
from facerec.geometry import Box, iou

SHOWN = 2  # thumbnails of a trajectory: its first and its last
SAME_FACE_IOU = 0.5  # intersection over union from which two boxes in one frame are of the same face

BoxLines = Mapping[int, Mapping[Box, int]]  # by frame: the boxes in it, each with its line number


def check_image_files(folder: MovieFolder, violations: Violations) -> BoxLines:
    """Check each file in images/ by itself; returns the thumbnails' boxes by frame, with line number 0."""
    images: dict[int, dict[Box, int]] = defaultdict(dict)
    if not folder.images.is_dir():
        violations.add(folder.images, "this folder must exist, even if it is empty")
        return images
    for path in sorted(folder.images.iterdir()):
        try:
            movie_id, frame, box = parse_tag(path.stem)
        except ValueError as error:
            violations.add(path, f"not the name of a thumbnail: {error}")
            continue
        if path.suffix != ".jpeg":
            violations.add(path, "the extension of a thumbnail must be .jpeg")
        elif movie_id != folder.movie_id:
            violations.add(path, f"movie_id {movie_id} in the folder of movie {folder.movie_id}")
        elif not (box[0] < box[2] and box[1] < box[3]):
            violations.add(path, "the box in its name is empty")
        else:
            images[frame][box] = 0
            if rule := _broken_pixel_rule(path):
                violations.add(path, rule)
    return images


def _broken_pixel_rule(path: Path) -> str:
    """Return the rule that the thumbnail's file breaks; empty if it breaks none."""
    import PIL.Image

    if not path.is_file():
        return "a thumbnail must be a file"
    try:
        with PIL.Image.open(path, formats=["JPEG"]) as picture:
            width, height = picture.size
            if max(width, height) > THUMBNAIL_SIDE:
                return f"{width}x{height} pixels; a thumbnail has at most {THUMBNAIL_SIDE}x{THUMBNAIL_SIDE}"
            picture.load()
    except (*DECODER_ERRORS, PIL.Image.DecompressionBombError):
        return "not a readable JPEG"
    return ""


def check_images(
    folder: MovieFolder,
    expected: Expected,
    trajectories: list[tuple[int, Trajectory]],
    faces: BoxLines | None,
    images: BoxLines,
    violations: Violations,
    *,
    complete: bool,
) -> None:
    """Check that saved faces, thumbnails and trajectories name the same boxes, integer for integer.

    Args:
        trajectories: with their line numbers.
        faces: the boxes of features.jsonl, None for a copy of what the backend reads, which has no such file.
        images: the boxes of the thumbnails.
        complete: `trajectories` are all that the file holds, so that a thumbnail of none is an error.
    """
    owners: dict[int, dict[Box, int]] = defaultdict(dict)  # boxes of trajectories in frames with a saved face
    for line, one in trajectories:
        saved = shown = 0
        for frame, box in _boxes_in_saved_frames(one, faces or {}, images):
            owners[frame][box] = line
            saved += box in (faces or {}).get(frame, ()) and bool(one.detected[frame - one.start])
            shown += box in images.get(frame, ())
        if faces is None:
            saved = max(1, min(shown, SHOWN))  # how many there were is not known
        if expected.pictures and (not shown or shown != min(saved, SHOWN)):
            rule = "none of its boxes has a thumbnail" if not saved or faces is None else (
                f"{shown} of its {saved} saved faces have a thumbnail instead of {min(saved, SHOWN)}"
            )  # fmt: skip
            violations.add(folder.trajectories, rule, line)
    for line, one in trajectories if faces else ():
        assert faces is not None
        for frame, box in _boxes_in_saved_frames(one, faces):
            if box in faces[frame] or not one.detected[frame - one.start]:
                continue
            near = _same_face(box, faces[frame].keys() - owners[frame].keys())
            if near:
                rule = f"frame {frame}: box {list(box)} differs from the saved face's box {list(near)}"
                violations.add(folder.trajectories, rule, line)
    if complete:
        _check_owners(folder, owners, faces, images, violations)


def _check_owners(
    folder: MovieFolder,
    owners: BoxLines,
    faces: BoxLines | None,
    images: BoxLines,
    violations: Violations,
) -> None:
    """Check that every thumbnail is of a box of a trajectory and of a saved face."""
    for frame, boxes in images.items():
        for box in boxes:
            if box not in owners.get(frame, ()):
                rule = f"no line of {folder.trajectories.name} has this box"
                if near := _same_face(box, owners.get(frame, ())):
                    line = owners[frame][near]
                    rule = f"wrong name: line {line} of {folder.trajectories.name} has the box {list(near)}"
            elif faces is not None and box not in faces.get(frame, ()):
                rule = f"no line of {folder.features.name} has this face"
            else:
                continue
            violations.add(folder.thumbnail(tag_of(folder.movie_id, frame, box)), rule)


def _boxes_in_saved_frames(one: Trajectory, *saved: BoxLines) -> Iterator[tuple[int, Box]]:
    """Yield frame and box of a trajectory for every frame that has an entry in one of `saved`."""
    for frame in range(one.start, one.end):
        if any(frame in boxes for boxes in saved):
            x1, y1, x2, y2 = one.boxes[frame - one.start].tolist()
            yield frame, (x1, y1, x2, y2)


def _same_face(box: Box, others: Iterable[Box]) -> Box | None:
    """Return the one of `others` that overlaps most with `box`; None if the overlap is too small."""
    candidates = list(others)
    if not candidates:
        return None
    overlaps = iou(np.array(box), np.array(candidates))
    best = int(overlaps.argmax())
    return candidates[best] if overlaps[best] >= SAME_FACE_IOU else None
