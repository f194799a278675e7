"""Draw a movie's clusters as one picture: their faces, their names, and when each is on screen."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from functools import cache
from pathlib import Path

import PIL.Image
from PIL import ImageDraw, ImageOps

from facerec.actors.pictures import read_picture
from facerec.folder.layout import MovieFolder
from facerec.reporting.fonts import draw_text, drawable
from facerec.reporting.overview import ClusterView, Overview, Span, read_overview
from facerec.support.text import counted

Colour = tuple[int, int, int]  # RGB

# all lengths are pixels
_WIDTH, _MARGIN, _HEADER_HEIGHT, _FOOTER_HEIGHT = 1360, 28, 96, 24
_CARD_HEIGHT, _CARD_GAP, _CARD_PADDING, _CARD_RADIUS = 172, 14, 18, 12
_TEXT_WIDTH, _FACE_SIDE, _FACE_GAP, _FACE_RADIUS, _MAX_FACES = 300, 112, 10, 8, 8
_TEXT_LINE = _WIDTH - 2 * _MARGIN
_TIMELINE_HEIGHT, _MIN_SPAN, _MIN_PIXELS_PER_CUT = 8, 3, 12

_BACKGROUND, _CARD_COLOUR, _TIMELINE_COLOUR = (18, 20, 25), (29, 32, 39), (47, 51, 61)
_BRIGHT, _DIM = (238, 240, 244), (146, 153, 167)
_CLUSTER_COLOURS = (
    (86, 180, 233), (240, 160, 75), (120, 200, 140), (220, 130, 180), (235, 205, 90), (150, 140, 230)
)  # fmt: skip


def draw_contact_sheet(
    folder: MovieFolder,
    names: Mapping[str, str] | None = None,
    max_clusters: int | None = None,
    unnamed: Container[str] = (),
) -> PIL.Image.Image:
    """Draw the sheet of a folder in which all stages have run.

    Args:
        names: of actors by id; an actor without one is shown by the id.
        max_clusters: number of clusters drawn, the first; None: all.
        unnamed: ids of actors who must not be named.

    Raises:
        ContractError: a file of the folder is missing or breaks the contract.
    """
    overview = read_overview(folder, unnamed)
    drawn = overview.clusters[:max_clusters]
    left_out = len(overview.clusters) - len(drawn)
    footer = ""
    if left_out:
        footer = f"and {left_out} more clusters"
    elif not drawn:
        footer = "no face was found in this film"
    height = _HEADER_HEIGHT + len(drawn) * (_CARD_HEIGHT + _CARD_GAP) + _MARGIN
    height += _FOOTER_HEIGHT if footer else 0
    sheet = PIL.Image.new("RGB", (_WIDTH, height), _BACKGROUND)
    _draw_header(sheet, overview)
    for row, cluster in enumerate(drawn):
        top = _HEADER_HEIGHT + row * (_CARD_HEIGHT + _CARD_GAP)
        _draw_card(sheet, top, overview, cluster, folder, names or {})
    draw_text(sheet, (_MARGIN, height - _MARGIN - 18), footer, 15, _DIM, _TEXT_LINE)
    return sheet


def _draw_header(sheet: PIL.Image.Image, overview: Overview) -> None:
    """Draw the film's name and counts."""
    named = len({cluster.name for cluster in overview.clusters} - {None})
    facts = [
        counted(len(overview.clusters), "cluster", digits=","),
        f"{counted(named, 'person', 'people')} named",
        counted(len(overview.cuts) + 1, "shot", digits=","),
        format_duration(overview.frames, overview),
    ]
    if overview.missing_shards:
        facts.append(f"without shards {overview.missing_shards}")
    if overview.warnings:
        facts.append("the detector may be broken: see check.py")
    draw_text(sheet, (_MARGIN, 24), overview.film, 26, _BRIGHT, _TEXT_LINE, bold=True)
    draw_text(sheet, (_MARGIN, 60), "   ·   ".join(facts), 15, _DIM, _TEXT_LINE)


def _draw_card(
    sheet: PIL.Image.Image,
    top: int,
    overview: Overview,
    cluster: ClusterView,
    folder: MovieFolder,
    names: Mapping[str, str],
) -> None:
    """Draw one cluster: its name on the left, its faces on the right, its time on screen below."""
    _fill(sheet, (_MARGIN, top, _WIDTH - _MARGIN, top + _CARD_HEIGHT), _CARD_COLOUR, _CARD_RADIUS)
    left, y = _MARGIN + _CARD_PADDING, top + _CARD_PADDING
    colour = _CLUSTER_COLOURS[cluster.id % len(_CLUSTER_COLOURS)] if cluster.name else _DIM
    _fill(sheet, (left, y + 3, left + 5, y + 29), colour, 2)
    nameless = "too poor to compare" if cluster.poor else "unknown"
    title = drawable(names.get(cluster.name, cluster.name), cluster.name) if cluster.name else nameless
    title_colour, width = _BRIGHT if cluster.name else _DIM, _TEXT_WIDTH - 30
    draw_text(sheet, (left + 16, y), title, 22, title_colour, width, bold=True)
    for i, line in enumerate(_card_lines(cluster, overview, names)):
        line_colour = colour if i == 0 else _DIM
        draw_text(sheet, (left + 16, y + 36 + 20 * i), line, 14, line_colour, width)
    shown = cluster.shown
    step = max(1.0, len(shown) / _MAX_FACES)  # spread over the whole film
    for i in range(min(_MAX_FACES, len(shown))):
        corner = left + _TEXT_WIDTH + i * (_FACE_SIDE + _FACE_GAP), y
        _draw_face(sheet, corner, folder.thumbnail(shown[int(i * step)]))
    bottom = top + _CARD_HEIGHT - _CARD_PADDING
    _draw_timeline(sheet, (left, bottom - _TIMELINE_HEIGHT), cluster.spans, overview, colour)


def _card_lines(cluster: ClusterView, overview: Overview, names: Mapping[str, str]) -> tuple[str, ...]:
    """Return the lines of text below the title of a cluster's card."""
    likely = ", ".join(
        f"{_sureness(p)} {'' if actor == cluster.name else drawable(names.get(actor, actor), actor)}".strip()
        for actor, p in cluster.names[:2]
    )
    trajectories = counted(len(cluster.trajectories), "trajectory", "trajectories", ",")
    thumbnails = counted(sum(map(len, cluster.thumbnails)), "thumbnail", digits=",")
    return (
        likely or "no likely name",
        f"cluster {cluster.id}",
        f"{trajectories}, {thumbnails}",
        f"{format_duration(cluster.frames, overview)} on screen",
    )


def _sureness(probability: float) -> str:
    """Return a probability as the report shows it: never rounded up."""
    return "over 99 %" if probability > 0.99 else f"{math.floor(100 * probability)} %"


def _draw_face(sheet: PIL.Image.Image, corner: tuple[int, int], path: Path) -> None:
    """Paste a thumbnail, cropped to a square with round corners."""
    picture = PIL.Image.fromarray(read_picture(path))
    face = ImageOps.fit(picture, (_FACE_SIDE, _FACE_SIDE), PIL.Image.Resampling.LANCZOS)
    sheet.paste(face, corner, _rounded_mask(_FACE_SIDE, _FACE_SIDE, _FACE_RADIUS))


def _draw_timeline(
    sheet: PIL.Image.Image,
    corner: tuple[int, int],
    spans: Sequence[Span],
    overview: Overview,
    colour: Colour,
) -> None:
    """Draw the cluster's spans over the length of the film; cuts are gaps where there is space for them."""
    x, y = corner
    length = _WIDTH - _MARGIN - _CARD_PADDING - x
    _fill(sheet, (x, y, x + length, y + _TIMELINE_HEIGHT), _TIMELINE_COLOUR, _TIMELINE_HEIGHT // 2)
    scale = length / max(1, overview.frames)
    for beg, end in spans:
        left, right = x + round(beg * scale), x + round(end * scale)
        _fill(sheet, (left, y, max(left + _MIN_SPAN, right), y + _TIMELINE_HEIGHT), colour, 2)
    if len(overview.cuts) * _MIN_PIXELS_PER_CUT < length:
        for cut in overview.cuts:
            at = x + round(cut * scale)
            _fill(sheet, (at - 1, y - 2, at + 1, y + _TIMELINE_HEIGHT + 2), _CARD_COLOUR, 0)


def _fill(sheet: PIL.Image.Image, box: tuple[int, int, int, int], colour: Colour, radius: int) -> None:
    """Fill the box (left, top, right, bottom) with round corners."""
    sheet.paste(colour, box, _rounded_mask(box[2] - box[0], box[3] - box[1], radius))


@cache
def _rounded_mask(width: int, height: int, radius: int) -> PIL.Image.Image:
    """Return an antialiased mask of a box with round corners, which Pillow draws jagged."""
    large = PIL.Image.new("L", (4 * width, 4 * height))
    corners = (0, 0, 4 * width - 1, 4 * height - 1)
    ImageDraw.Draw(large).rounded_rectangle(corners, 4 * radius, fill=255)
    return large.resize((width, height), PIL.Image.Resampling.BOX)


def format_duration(frames: int, overview: Overview) -> str:
    """Format a number of frames as time; as frames where the film's frame rate is unknown."""
    if overview.frame_rate is None:
        return counted(frames, "frame", digits=",")
    seconds = float(frames / overview.frame_rate)
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
