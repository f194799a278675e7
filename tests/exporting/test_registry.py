"""Every format of the table writes unusual films, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import pytest

import facerec
from facerec.errors import InputError
from facerec.exporting.registry import FORMATS, Format, find_format
from tests.conftest import ROOT
from tests.exporting.movies import exported, open_with_name
from tests.movie_folder import Shown, movie_folder


@pytest.mark.parametrize("one", FORMATS.values(), ids=FORMATS)
def test_every_module_is_in_the_table_and_in_the_documentation(one: Format) -> None:
    assert (ROOT / "facerec" / "exporting" / f"{one.name.replace('-', '_')}.py").is_file()
    documented = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    joint = " *" * one.joint
    assert f"\n| `{one.name}`{joint} | {', '.join(f'`.{suffix}`' for suffix in one.suffixes)} |" in documented


@pytest.mark.parametrize(("name", "suffix"), [(f.name, s) for f in FORMATS.values() for s in f.suffixes])
def test_unusual_films_are_written(name: str, suffix: str, tmp_path: Path) -> None:
    folders = {
        "no faces": movie_folder(tmp_path / "empty", []),
        "one frame": movie_folder(tmp_path / "one", [Shown(0, 0, 1)], frames=1),
        "begins before 0": movie_folder(tmp_path / "early", [Shown(0, 0, 9)], pts=range(-3, 97)),
        "a face in no trajectory": movie_folder(
            tmp_path / "stray", [Shown(0, 0, 9)], strays=[Shown(1, 20, 26, x=200)]
        ),
        "1000 frames a second": movie_folder(tmp_path / "fast", [Shown(0, 0, 9)], time_base="1/2000"),
    }
    for kind, folder in folders.items():
        assert exported([facerec.open_movie(folder.path)], name, suffix), kind


@pytest.mark.parametrize(("name", "suffix"), [(f.name, s) for f in FORMATS.values() for s in f.suffixes])
def test_the_same_movie_gives_the_same_bytes(name: str, suffix: str, tmp_path: Path) -> None:
    movie = open_with_name(tmp_path, "Ada")
    again = facerec.open_movie(movie.path, actor_db=tmp_path / "actors7")
    assert exported([movie], name, suffix) == exported([again], name, suffix)


def test_the_name_of_a_file_has_its_format_once() -> None:
    """Players look for `7.vtt` beside `7.mp4`."""
    names = {one.file_name(7, suffix) for one in FORMATS.values() for suffix in one.suffixes}
    assert len(names) == sum(len(one.suffixes) for one in FORMATS.values()), "no file replaces another one"
    assert {"7.vtt", "7.ass", "7.eaf", "7.screen-time.parquet", "7.mot.zip", "7.iiif.json"} <= names
    assert not [name for name in names if "vtt." in name]


def test_a_format_is_found_with_its_suffix() -> None:
    assert find_format("screen-time") == (FORMATS["screen-time"], None)
    assert find_format("screen-time.parquet") == (FORMATS["screen-time"], "parquet")
    with pytest.raises(InputError, match="screen-time is written as csv or parquet"):
        find_format("screen-time.xlsx")
    with pytest.raises(InputError, match="--format csv: no such format"):
        find_format("csv")


@pytest.mark.parametrize(
    ("one", "suffix"), [(one, suffix) for one in FORMATS.values() for suffix in one.suffixes]
)
def test_the_name_of_a_file_is_understood_as_its_format(one: Format, suffix: str) -> None:
    """So a deleted export can be made again."""
    found, asked = find_format(one.file_name(7, suffix).removeprefix("7."))
    assert found == one and (asked or found.suffixes[0]) == suffix
