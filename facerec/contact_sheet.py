"""Draw a movie folder's clusters as one picture: faces, names, and when each is on screen.

The faces are those that the labeling page shows, each trajectory's first and last saved picture. A name
is written where its probability is one that the annotator sees.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from facerec.errors import InputError
from facerec.support.cli import configure_logging, parser, run_main

if TYPE_CHECKING:
    import PIL.Image
    import PIL.ImageFont

    from facerec.folder.layout import MovieFolder
    from facerec.reporting.overview import ClusterView, Overview, Span

MAX_CLUSTERS = 40  # on one sheet; a film has hundreds, the biggest come first

# pixels
_WIDTH, _MARGIN, _HEAD = 1360, 28, 96
_CARD, _GAP, _PAD, _RADIUS = 172, 14, 18, 12
_TEXT, _FACE, _FACE_GAP, _FACES = 300, 112, 10, 8
_BAR = 8

_GROUND, _PANEL, _TRACK = (18, 20, 25), (29, 32, 39), (47, 51, 61)
_BRIGHT, _DIM = (238, 240, 244), (146, 153, 167)
_COLOURS = ((86, 180, 233), (240, 160, 75), (120, 200, 140), (220, 130, 180), (235, 205, 90), (150, 140, 230))


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument(
        "--path", type=Path, required=True, metavar="DIR", help="movie folder, <out>/<movie_id>-data"
    )
    made.add_argument("--out", type=Path, metavar="FILE.png", help="default: contact_sheet.png in the folder")
    made.add_argument("--actor-db", type=Path, default=Path("actor_db"), metavar="DIR",
        help="where the actors' names are, beside the manifest's cast")  # fmt: skip
    made.add_argument(
        "--clusters", type=int, default=MAX_CLUSTERS, metavar="N", help="how many, the biggest first"
    )
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    if args.clusters < 1:
        raise InputError(f"--clusters {args.clusters}: must be at least 1")
    from facerec.actors.database import ActorDatabase
    from facerec.folder.layout import MovieFolder
    from facerec.reporting.overview import cast_names
    from facerec.support.atomic import atomic_write

    folder = MovieFolder.existing(args.path)
    sheet = contact_sheet(folder, cast_names(folder, ActorDatabase(args.actor_db)), args.clusters)
    out = args.out or folder.contact_sheet
    with atomic_write(out) as file:
        sheet.save(file, format="PNG")
    print(f"movie {folder.movie_id}: {out}")  # noqa: T201
    return 0


def contact_sheet(
    folder: MovieFolder, names: Mapping[str, str] | None = None, most: int = MAX_CLUSTERS
) -> PIL.Image.Image:
    """The sheet of a folder in which all stages have run.

    Args:
        names: of actors by id; an id without one is written itself.
        most: how many clusters are drawn.

    Raises:
        ContractError: a file of the folder is missing or breaks the contract.
    """
    import PIL.Image

    from facerec.reporting.overview import read_overview

    film = read_overview(folder)
    drawn = film.clusters[:most]
    left_out = len(film.clusters) - len(drawn)
    height = _HEAD + len(drawn) * (_CARD + _GAP) + _MARGIN + (24 if left_out or not drawn else 0)
    sheet = PIL.Image.new("RGB", (_WIDTH, height), _GROUND)
    _head(sheet, film)
    for row, cluster in enumerate(drawn):
        _card(sheet, _HEAD + row * (_CARD + _GAP), film, cluster, folder, names or {})
    note = (
        f"and {left_out} smaller clusters" if left_out else "" if drawn else "no face was found in this film"
    )
    _write(sheet, (_MARGIN, height - _MARGIN - 18), note, 15, _DIM)
    return sheet


def _head(sheet: PIL.Image.Image, film: Overview) -> None:
    named = len({cluster.name for cluster in film.clusters} - {None})
    facts = [
        _count(len(film.clusters), "cluster"),
        f"{_count(named, 'person', 'people')} named",
        _count(len(film.cuts) + 1, "shot"),
        _duration(film.frames, film),
        *([f"without shards {film.without}"] if film.without else []),
    ]
    _write(sheet, (_MARGIN, 24), film.film, 26, _BRIGHT, bold=True)
    _write(sheet, (_MARGIN, 60), "   ·   ".join(facts), 15, _DIM)


def _card(
    sheet: PIL.Image.Image,
    top: int,
    film: Overview,
    cluster: ClusterView,
    folder: MovieFolder,
    names: Mapping[str, str],
) -> None:
    """One cluster: on the left who it may be, on the right its faces, below when it is on screen."""
    _fill(sheet, (_MARGIN, top, _WIDTH - _MARGIN, top + _CARD), _PANEL, _RADIUS)
    left, y = _MARGIN + _PAD, top + _PAD
    colour = _COLOURS[cluster.id % len(_COLOURS)] if cluster.name else _DIM
    _fill(sheet, (left, y + 3, left + 5, y + 29), colour, 2)
    title = names.get(cluster.name, cluster.name) if cluster.name else "unknown"
    _write(sheet, (left + 16, y), title, 22, _BRIGHT if cluster.name else _DIM, bold=True, width=_TEXT - 30)
    likely = ", ".join(
        f"{_percent(p)} {'' if a == cluster.name else names.get(a, a)}".strip() for a, p in cluster.names[:2]
    )
    lines = (
        likely or "no likely name",
        f"cluster {cluster.id}",
        f"{_count(len(cluster.trajectories), 'trajectory', 'trajectories')}, "
        f"{_count(sum(map(len, cluster.pictures)), 'picture')}",
        f"{_duration(cluster.frames, film)} on screen",
    )
    for i, line in enumerate(lines):
        _write(sheet, (left + 16, y + 36 + 20 * i), line, 14, colour if i == 0 else _DIM, width=_TEXT - 30)
    shown = cluster.shown
    step = max(1.0, len(shown) / _FACES)
    for i, tag in enumerate(shown[int(k * step)] for k in range(min(_FACES, len(shown)))):
        _face(sheet, (left + _TEXT + i * (_FACE + _FACE_GAP), y), folder.thumbnail(tag))
    _timeline(sheet, (left, top + _CARD - _PAD - _BAR), cluster.spans, film, colour)


def _face(sheet: PIL.Image.Image, corner: tuple[int, int], path: Path) -> None:
    import PIL.Image
    from PIL import ImageOps

    from facerec.actors.pictures import read_picture

    picture = PIL.Image.fromarray(read_picture(path))
    face = ImageOps.fit(picture, (_FACE, _FACE), PIL.Image.Resampling.LANCZOS)
    sheet.paste(face, corner, _rounded(_FACE, _FACE, 8))


def _timeline(
    sheet: PIL.Image.Image,
    corner: tuple[int, int],
    spans: Sequence[Span],
    film: Overview,
    colour: tuple[int, int, int],
) -> None:
    """When the cluster is on screen, over the length of the film; the cuts as gaps."""
    x, y = corner
    length = _WIDTH - _MARGIN - _PAD - x
    _fill(sheet, (x, y, x + length, y + _BAR), _TRACK, _BAR // 2)
    scale = length / max(1, film.frames)
    for beg, end in spans:
        a = x + round(beg * scale)
        _fill(sheet, (a, y, max(a + 3, x + round(end * scale)), y + _BAR), colour, 2)
    if len(film.cuts) * 12 < length:
        for cut in film.cuts:
            _fill(
                sheet,
                (x + round(cut * scale) - 1, y - 2, x + round(cut * scale) + 1, y + _BAR + 2),
                _PANEL,
                0,
            )


def _fill(
    sheet: PIL.Image.Image, box: tuple[int, int, int, int], colour: tuple[int, int, int], radius: int
) -> None:
    sheet.paste(colour, box, _rounded(box[2] - box[0], box[3] - box[1], radius))


@cache
def _rounded(width: int, height: int, radius: int) -> PIL.Image.Image:
    """A smooth mask; Pillow's own rounded corners are jagged."""
    import PIL.Image
    from PIL import ImageDraw

    fine = PIL.Image.new("L", (4 * width, 4 * height))
    ImageDraw.Draw(fine).rounded_rectangle((0, 0, 4 * width - 1, 4 * height - 1), 4 * radius, fill=255)
    return fine.resize((width, height), PIL.Image.Resampling.BOX)


def _write(
    sheet: PIL.Image.Image,
    corner: tuple[int, int],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    *,
    bold: bool = False,
    width: float = _WIDTH - 2 * _MARGIN,
) -> None:
    """Write one line, cut off with an ellipsis where it is wider than `width`."""
    from PIL import ImageDraw

    font = _font(size, bold)
    if font.getlength(text) > width:
        while text and font.getlength(text + "…") > width:
            text = text[:-1]
        text += "…"
    ImageDraw.Draw(sheet).text(corner, text, font=font, fill=colour)


@cache
def _font(size: int, bold: bool) -> PIL.ImageFont.FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _count(n: int, one: str, many: str = "") -> str:
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _percent(p: float) -> str:
    return f"{100 * p:.0f} %"


def _duration(frames: int, film: Overview) -> str:
    if film.frame_rate is None:
        return _count(frames, "frame")
    seconds = float(frames / film.frame_rate)
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


if __name__ == "__main__":
    raise SystemExit(run_main(main))
