"""IIIF manifests: the published schema holds, and what it does not check."""

from __future__ import annotations

import json
import os
import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest

import facerec
from facerec.exporting.registry import FORMATS
from tests.exporting.movies import HOSTILE, URI, WRITTEN, exported, open_with_name
from tests.movie_folder import Shown, movie_folder

SCHEMA = "FACEREC_IIIF_SCHEMA"


def manifest(movie: facerec.Movie) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(exported([movie], "iiif", "json"))
    return made


def pages(made: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The annotations of times, and those of regions."""
    times, regions = made["items"][0]["annotations"]
    return times["items"], regions["items"]


def fragment(annotation: dict[str, Any]) -> str:
    return str(annotation["target"]["selector"]["value"])


def resources(value: Any) -> list[dict[str, Any]]:
    """All objects of a manifest that have a type, the outermost first."""
    if isinstance(value, list):
        return [found for one in value for found in resources(one)]
    if not isinstance(value, dict):
        return []
    inner = [found for one in value.values() for found in resources(one)]
    return [value, *inner] if "type" in value else inner


def problems(made: dict[str, Any]) -> list[str]:
    """What the schema lets pass: targets, durations, fragments, ids that are twice there."""
    found = []
    (canvas,) = made["items"]
    ids = [one["id"] for one in resources(made) if "id" in one]
    found += [f"{one} is there twice" for one in {*ids} if ids.count(one) > 1]
    found += [f"{one} is no address" for one in ids if urlsplit(one).scheme not in ("http", "https")]
    if not canvas.get("duration", 0) > 0:
        found.append("the canvas has no duration")
    for annotation in (one for one in resources(made) if one["type"] == "Annotation"):
        target = annotation.get("target")
        source = target if isinstance(target, str) else (target or {}).get("source")
        if source != canvas["id"]:
            found.append(f"{annotation['id']} has another target than the canvas")
        if not isinstance(target, dict):
            continue
        match = re.fullmatch(
            r"(?:xywh=(\d+),(\d+),(\d+),(\d+)&)?t=(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)", fragment(annotation)
        )
        if match is None:
            found.append(f"{annotation['id']} has no fragment")
            continue
        *region, begin, end = match.groups()
        if not 0 <= float(begin) < float(end) <= canvas.get("duration", 0):
            found.append(f"{annotation['id']} is not in the film")
        if region[0] is not None:
            x, y, w, h = map(int, region)
            if not (w > 0 and h > 0 and x + w <= canvas["width"] and y + h <= canvas["height"]):
                found.append(f"{annotation['id']} is not in the frame")
    return found


def test_the_published_schema_holds(movie: facerec.Movie, tmp_path: Path) -> None:
    """The schema has no licence, so that it cannot be in this repository."""
    path = Path(os.environ.get(SCHEMA, ""))
    if not path.is_file():
        pytest.skip(
            f"needs {SCHEMA}: the path of schema/iiif_3_0.json of github.com/IIIF/presentation-validator"
        )
    validator = jsonschema.Draft7Validator(json.loads(path.read_text()))
    empty = facerec.open_movie(movie_folder(tmp_path / "empty", []).path)
    for made in (manifest(movie), manifest(empty)):
        assert [error.message for error in validator.iter_errors(made)] == []
    broken = manifest(movie)
    del broken["items"][0]["id"]
    assert list(validator.iter_errors(broken))


def test_times_are_those_of_the_intervals(movie: facerec.Movie) -> None:
    made = manifest(movie)
    assert problems(made) == []
    times, _ = pages(made)
    found = [(one["body"][0]["value"], fragment(one)) for one in times]
    assert found == [
        ("Ada Lovelace", "t=0.000,0.800"),
        ("unknown 1", "t=0.400,0.800"),
        ("Ada Lovelace", "t=0.800,1.200"),
        ("unknown 1", "t=2.400,2.800"),
    ]
    assert all(fragment(one).startswith("t=") for one in times)  # or Advene ignores it
    assert made["label"] == {"none": ["Film 7"]} and "presentation time" in made["summary"]["en"][0]
    painting = made["items"][0]["items"][0]["items"][0]["body"]
    assert (painting["id"], painting["format"]) == ("https://example.org/7-Film.mp4", "video/mp4")


def test_identifiers_are_bodies(movie: facerec.Movie) -> None:
    for page in pages(manifest(movie)):
        for one in page:
            sources = [body["source"] for body in one["body"] if body.get("purpose") == "identifying"]
            assert sources == (URI.split() if one["body"][0]["value"] == "Ada Lovelace" else [])
    assert manifest(movie)["metadata"][1] == {
        "label": {"none": ["Ada Lovelace"]},
        "value": {"none": URI.split()},
    }


def test_regions_last_a_second_at_most_and_cover_every_trajectory(tmp_path: Path) -> None:
    folder = movie_folder(tmp_path, [Shown(0, 3, 60, x=7, height=50)], time_base="1001/24000")
    made = manifest(facerec.open_movie(folder.path))
    assert problems(made) == []
    _, regions = pages(made)
    assert all(fragment(one).startswith("xywh=7,10,50,50&t=") for one in regions)
    times = [tuple(map(float, fragment(one).rpartition("=")[2].split(","))) for one in regions]
    assert times[0][0] == 0.125 and times[-1][1] == 2.502
    assert all(a[1] == b[0] for a, b in pairwise(times))
    assert all(end - begin <= 1.04 for begin, end in times) and len(times) == 3


def test_long_films_keep_their_milliseconds(tmp_path: Path) -> None:
    """Frames of 100.123 s: times have more digits than a float is shown with by default."""
    folder = movie_folder(tmp_path, [Shown(0, 90, 95)], time_base="100123/1000")
    times, _ = pages(manifest(facerec.open_movie(folder.path)))
    assert [fragment(one) for one in times] == ["t=9011.070,9511.685"]


def test_addresses_begin_with_the_url(movie: facerec.Movie) -> None:
    data = b"".join(FORMATS["iiif"].export([movie], "json", "https://films.example/a"))
    made = json.loads(data)
    assert problems(made) == []
    assert made["id"] == "https://films.example/a/7.iiif.json"
    assert b"example.org" not in data


def test_hostile_names_are_whole(tmp_path: Path) -> None:
    times, _ = pages(manifest(open_with_name(tmp_path, HOSTILE)))
    assert times[0]["body"][0]["value"] == WRITTEN


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda made: made["items"][0].pop("duration"), "the canvas has no duration"),
        (lambda made: pages(made)[0][0].pop("target"), "has another target"),
        (lambda made: pages(made)[0][0]["target"]["selector"].update(value="t=x"), "has no fragment"),
        (lambda made: pages(made)[0][0]["target"]["selector"].update(value="t=3,2"), "is not in the film"),
        (lambda made: pages(made)[1][0].update(id=pages(made)[0][0]["id"]), "is there twice"),
    ],
)
def test_the_checks_find_what_the_schema_misses(movie: facerec.Movie, change: Any, problem: str) -> None:
    made = manifest(movie)
    change(made)
    assert problem in "; ".join(problems(made))
