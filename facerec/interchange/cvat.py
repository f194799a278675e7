"""Files of CVAT, the Computer Vision Annotation Tool: "CVAT for video 1.1", boxes on tracks (.xml).

The format is described at https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. CVAT's
importer drops boxes that are no keyframes and shows a track until a box with `outside`. CVAT writes a box
for every frame of a track; a file of another program with fewer is interpolated linearly, as CVAT does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from facerec.errors import ContractError, InputError
from facerec.support.xml_text import attribute, element_text, iterate_xml, required

LABEL = "face"
_ROOT = "annotations"
_MAX_FRAME = 1 << 31
_CORNERS = ("xtl", "ytl", "xbr", "ybr")

Corners = tuple[float, float, float, float]  # x1, y1, x2, y2 in pixels


@dataclass(frozen=True, slots=True)
class CvatBox:
    """A box of a track.

    Attributes:
        corners: x1, y1, x2, y2 in pixels.
        outside: the track is not visible from this frame on.
        attributes: values by name.
    """

    frame: int
    corners: Corners
    outside: bool
    keyframe: bool
    occluded: bool
    attributes: Mapping[str, str]


@dataclass(frozen=True)
class CvatTrack:
    """A track: boxes by frame, ascending."""

    index: int
    label: str
    boxes: Sequence[CvatBox]

    def visible(self) -> Iterator[CvatBox]:
        """Yield a box for every frame in which the track is visible, interpolated between two boxes."""
        for box, following in pairwise((*self.boxes, None)):
            assert box is not None
            if box.outside:
                continue
            yield box
            if following is None:
                continue
            steps = following.frame - box.frame
            for step in range(1, steps):
                t = 0.0 if following.outside else step / steps
                a, b, c, d = (
                    (1 - t) * p + t * q for p, q in zip(box.corners, following.corners, strict=True)
                )
                yield CvatBox(box.frame + step, (a, b, c, d), False, False, box.occluded, box.attributes)


@dataclass(frozen=True)
class CvatTask:
    """The metadata of a file.

    Attributes:
        name: of the task; source: file name of the film.
        frames: number of frames of the film.
        width, height: of a frame in pixels.
        attributes: names of the attributes of a box; all are text and belong to a whole track.
        comment: for people who read the file; CVAT does not keep it when it writes one.
    """

    name: str
    source: str
    frames: int
    width: int
    height: int
    attributes: tuple[str, ...]
    comment: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame in pixels; 0 if the file does not say."""
        return self.width, self.height

    def to_xml(self, tracks: Iterable[CvatTrack]) -> Iterator[str]:
        """Yield the file in parts."""
        yield f'<?xml version="1.0" encoding="utf-8"?>\n<{_ROOT}>\n  <version>1.1</version>\n'
        yield f"  <meta>\n    <task>\n      <name>{element_text(self.name)}</name>\n"
        yield f"      <size>{self.frames}</size>\n      <mode>interpolation</mode>\n"
        yield "      <start_frame>0</start_frame>\n"
        yield f"      <stop_frame>{max(0, self.frames - 1)}</stop_frame>\n"
        yield "      <frame_filter></frame_filter>\n      <labels>\n        <label>\n"
        yield f"          <name>{LABEL}</name>\n          <type>any</type>\n          <attributes>\n"
        for name in self.attributes:
            yield f"            <attribute>\n              <name>{element_text(name)}</name>\n"
            yield "              <mutable>False</mutable>\n              <input_type>text</input_type>\n"
            yield "              <default_value></default_value>\n              <values></values>\n"
            yield "            </attribute>\n"
        yield "          </attributes>\n        </label>\n      </labels>\n      <original_size>\n"
        yield f"        <width>{self.width}</width>\n        <height>{self.height}</height>\n"
        yield "      </original_size>\n"
        yield f"      <source>{element_text(self.source)}</source>\n"
        yield f"      <comment>{element_text(self.comment)}</comment>\n    </task>\n  </meta>\n"
        for track in tracks:
            yield "".join(_track_lines(track))
        yield f"</{_ROOT}>\n"


def _track_lines(track: CvatTrack) -> Iterator[str]:
    yield f'  <track id="{track.index}" label={attribute(track.label)} source="auto">\n'
    values, shown = None, ""
    for box in track.boxes:
        if box.attributes is not values:  # written once for all boxes that share them
            values = box.attributes
            shown = "".join(
                f"<attribute name={attribute(name)}>{element_text(value)}</attribute>"
                for name, value in values.items()
            )
        x1, y1, x2, y2 = box.corners
        yield (
            f'    <box frame="{box.frame}" keyframe="{box.keyframe:d}" outside="{box.outside:d}" '
            f'occluded="{box.occluded:d}" xtl="{x1:.2f}" ytl="{y1:.2f}" xbr="{x2:.2f}" ybr="{y2:.2f}" '
            f'z_order="0">{shown}</box>\n'
        )
    yield "  </track>\n"


def is_cvat(path: Path) -> bool:
    """Whether a file begins as XML does; False if there is no such file.

    Raises:
        InputError: it is an archive.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"PK\x03\x04"):
        raise InputError(f"{path}: is a ZIP archive; unpack it and give the annotations.xml in it")
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def read_cvat(path: Path) -> tuple[CvatTask, list[CvatTrack]]:
    """Read the tracks of boxes of a file; other shapes are ignored.

    Raises:
        InputError: there is no such file.
        ContractError: the file is not one of CVAT for video, or a box cannot be used.
    """
    task = CvatTask("", "", 0, 0, 0, ())
    tracks: list[CvatTrack] = []
    boxes: list[CvatBox] = []
    for event, element in iterate_xml(path, _ROOT):
        if event == "start":
            if element.tag == "image":
                rule = "is of images (CVAT for images); export the task as `CVAT for video 1.1`"
                raise ContractError(path, rule)
            if element.tag == "track":
                boxes = []
        elif element.tag == "meta":
            task = _task(path, element)
        elif element.tag == "box":
            boxes.append(_box(path, element, boxes[-1].attributes if boxes else {}))
            element.clear()
        elif element.tag == "track":
            boxes.sort(key=lambda box: box.frame)
            label = element.get("label", "")
            tracks.append(CvatTrack(_integer(path, element, "id"), label, tuple(boxes)))
            element.clear()
    return task, tracks


def _task(path: Path, meta: ElementTree.Element) -> CvatTask:
    def number(name: str) -> int:
        text = next((one.text for one in meta.iter(name)), None) or "0"
        if not text.strip().isdecimal():
            raise ContractError(path, f"{name} is {text[:40]!r} in meta, not a number")
        return int(text)

    def text(name: str) -> str:
        return next((one.text or "" for one in meta.iter(name)), "")

    task = next((one for one in meta if one.tag in ("task", "job", "project")), meta)
    names = tuple(one.findtext("name") or "" for one in meta.iter("attribute"))
    return CvatTask(
        task.findtext("name") or "",
        text("source"),
        number("size"),
        number("width"),
        number("height"),
        names,
        text("comment"),
    )


def _box(path: Path, element: ElementTree.Element, previous: Mapping[str, str]) -> CvatBox:
    """Return a box; `previous` are the attributes of the box before it, shared if they are equal."""
    try:
        x1, y1, x2, y2 = (float(required(path, element, name)) for name in _CORNERS)
    except ValueError:
        raise ContractError(path, f"frame {element.get('frame')}: a corner is not a number") from None
    if not (math.isfinite(x1 + y1 + x2 + y2) and x1 <= x2 and y1 <= y2):
        raise ContractError(path, f"frame {element.get('frame')}: the corners are in the wrong order")
    values = {required(path, one, "name"): one.text or "" for one in element.iter("attribute")}
    return CvatBox(
        _integer(path, element, "frame"),
        (x1, y1, x2, y2),
        element.get("outside") == "1",
        element.get("keyframe") == "1",
        element.get("occluded") == "1",
        previous if values == previous else values,
    )


def _integer(path: Path, element: ElementTree.Element, name: str) -> int:
    text = required(path, element, name)
    if not (text.isascii() and text.isdecimal() and len(text) < 11 and int(text) < _MAX_FRAME):
        raise ContractError(path, f"{name} {text[:40]!r} of an element {element.tag!r} is not a number")
    return int(text)
