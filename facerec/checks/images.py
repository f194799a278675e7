"""The rules for the pictures that annotators see: their names, their pixels, and whose face they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from facerec.checks.violations import Deviations, Expected
from facerec.folder.layout import MovieFolder
from facerec.folder.names import parse_tag, tag_of
from facerec.folder.records import Trajectory
from facerec.folder.thumbnails import PICTURE_SIDE
from facerec.geometry import iou

SHOWN = 2  # pictures of a trajectory on the annotator's page, its first and its last
NEAR = 0.5  # intersection over union from which two boxes of a frame are meant to be one face's

Box = tuple[int, int, int, int]
Boxes = Mapping[int, Mapping[Box, int]]  # by frame: the boxes there, each with its line


def scan_pictures(folder: MovieFolder, found: Deviations) -> Boxes:
    """The boxes of the pictures by frame; whatever else lies among them is a deviation."""
    pictures: dict[int, dict[Box, int]] = defaultdict(dict)
    if not folder.images.is_dir():
        found.add(folder.images, "this folder must exist, even where it is empty")
        return pictures
    for path in sorted(folder.images.iterdir()):
        try:
            movie_id, frame, box = parse_tag(path.stem)
        except ValueError as error:
            found.add(path, f"no picture's name: {error}")
            continue
        if path.suffix != ".jpeg":
            found.add(path, "a picture's extension is .jpeg")
        elif movie_id != folder.movie_id:
            found.add(path, f"movie_id {movie_id} in the folder of movie {folder.movie_id}")
        elif not (box[0] < box[2] and box[1] < box[3]):
            found.add(path, "its box is empty")
        else:
            pictures[frame][box] = 0
            if rule := _pixel_rule(path):
                found.add(path, rule)
    return pictures


def _pixel_rule(path: Path) -> str:
    """What is wrong with a picture's pixels; empty where nothing is."""
    import PIL.Image

    if not path.is_file():
        return "a picture is a file"
    try:
        with PIL.Image.open(path, formats=["JPEG"]) as picture:
            if max(picture.size) > PICTURE_SIDE:
                return (
                    f"{'x'.join(map(str, picture.size))} pixels; a picture fits {PICTURE_SIDE}x{PICTURE_SIDE}"
                )
            picture.load()
    except (OSError, ValueError, SyntaxError, EOFError, PIL.Image.DecompressionBombError):
        return "no JPEG that can be read"
    return ""


def check_pictures(
    folder: MovieFolder,
    expected: Expected,
    trajectories: list[tuple[int, Trajectory]],
    faces: Boxes,
    pictures: Boxes,
    found: Deviations,
    *,
    whole: bool,
) -> None:
    """Saved faces, their pictures and the trajectories' boxes name each other, integer for integer.

    Args:
        whole: all trajectories are there, so that a picture of none is nobody's.
    """
    owners: dict[int, dict[Box, int]] = defaultdict(dict)  # the trajectories' boxes on saved frames
    for line, one in trajectories:
        saved = shown = 0
        for frame, box in _saved_boxes(one, faces, pictures):
            owners[frame][box] = line
            saved += box in faces.get(frame, ()) and bool(one.detected[frame - one.start])
            shown += box in pictures.get(frame, ())
        if expected.pictures and (not shown or shown != min(saved, SHOWN)):
            rule = "no picture is saved of any of its boxes" if not saved else (
                f"{shown} of its {saved} saved faces are shown and not {min(saved, SHOWN)}"
            )  # fmt: skip
            found.add(folder.trajectories, rule, line)
    for line, one in trajectories:
        for frame, box in _saved_boxes(one, faces):
            if box in faces[frame] or not one.detected[frame - one.start]:
                continue
            near = _nearest(box, faces[frame].keys() - owners[frame].keys())
            if near:
                rule = f"frame {frame}: box {list(box)} is not the saved face's, {list(near)}"
                found.add(folder.trajectories, rule, line)
    if whole:
        _check_strays(folder, owners, faces, pictures, found)


def _check_strays(
    folder: MovieFolder, owners: Boxes, faces: Boxes, pictures: Boxes, found: Deviations
) -> None:
    """Pictures that are of no trajectory, wrongly named, or of no saved face."""
    for frame, boxes in pictures.items():
        for box in boxes:
            if box not in owners.get(frame, ()):
                rule = f"no line of {folder.trajectories.name} has this face"
                if near := _nearest(box, owners.get(frame, ())):
                    line = owners[frame][near]
                    rule = f"wrongly named: line {line} of {folder.trajectories.name} has {list(near)}"
            elif box not in faces.get(frame, ()):
                rule = f"no line of {folder.features.name} has this face"
            else:
                continue
            found.add(folder.picture(tag_of(folder.movie_id, frame, box)), rule)


def _saved_boxes(one: Trajectory, *saved: Boxes) -> Iterator[tuple[int, Box]]:
    """The boxes of a trajectory on frames of which any face is saved."""
    for frame in range(one.start, one.end):
        if any(frame in boxes for boxes in saved):
            x1, y1, x2, y2 = one.boxes[frame - one.start].tolist()
            yield frame, (x1, y1, x2, y2)


def _nearest(box: Box, others: Iterable[Box]) -> Box | None:
    """The one of `others` that overlaps most with `box`, where it is near."""
    candidates = list(others)
    if not candidates:
        return None
    overlaps = iou(np.array(box), np.array(candidates))
    best = int(overlaps.argmax())
    return candidates[best] if overlaps[best] >= NEAR else None
