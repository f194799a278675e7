"""The page over several movies: the films, the people who are named in them, and who appears where.

It is made from the summaries inside the reports, not from the movie folders: so it can be renewed after each
report, and shows what the reports show.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from facerec import __version__
from facerec.errors import InputError
from facerec.folder.layout import INDEX, INDEX_MARK, MovieFolder
from facerec.reporting.page import json_block, render
from facerec.reporting.page_facts import format_seconds
from facerec.support.atomic import write_bytes

STYLES = ("report.css",)
SCRIPTS = ("sortable.js", "index.js")
_SUMMARY = re.compile(rb'<script type="application/json" id="facerec-summary">([^<]*)</script>')
_HEAD = 4 << 20  # bytes of a report; the summary of a film with thousands of names lies within
SURE = 0.9  # probability of a name, as in the reports


def write_index(parent: Path) -> Path | None:
    """Write the index of the reports in the movie folders under `parent`, if there are two or more.

    Returns:
        The page; None if there are fewer than two reports, or another program's index.html is in the way.
    """
    page = parent / INDEX
    if len(reports(parent)) < 2:
        return None
    if page.exists() and INDEX_MARK not in page.read_bytes()[:4096]:
        logging.warning("%s: is not a page of facerec, so it is kept; move it away to get the index", page)
        return None
    while True:  # until no report was added: the last of several jobs completes the index
        before = _stamps(parent)
        summaries = read_summaries(parent)
        if len(summaries) < 2:
            return None
        write_bytes(page, index_page(summaries))
        if _stamps(parent) == before:
            return page


def _stamps(parent: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in reports(parent)}


def reports(parent: Path) -> set[Path]:
    """Return the reports in the movie folders under `parent`."""
    return set(parent.glob("*-data/report.html"))


def read_summaries(parent: Path) -> dict[MovieFolder, dict[str, Any]]:
    """Return the summaries of the reports under `parent`, by movie folder, in the order of the movie ids."""
    found = {}
    for path in reports(parent):
        try:
            folder = MovieFolder(path.parent)
            with path.open("rb") as file:
                match = _SUMMARY.search(file.read(_HEAD))
            summary = orjson.loads(match[1]) if match else None
        except (InputError, OSError, orjson.JSONDecodeError):
            summary = None
        if isinstance(summary, dict) and summary.get("format") == 1:
            found[folder] = summary
        else:
            logging.warning("%s: is no report of this release; left out of the index", path)
    return dict(sorted(found.items(), key=lambda item: item[0].movie_id))


def index_page(summaries: Mapping[MovieFolder, Mapping[str, Any]]) -> bytes:
    """Return the page over the movies."""
    films: list[dict[str, Any]] = []
    people: dict[str, dict[str, Any]] = {}
    for number, (folder, summary) in enumerate(summaries.items()):
        href = f"{quote(folder.path.name)}/report.html"
        films.append(_film(summary, href))
        for person in summary["people"]:
            new = {"name": person["name"], "uri": person["uri"], "in": []}
            people.setdefault(person["person"], new)["in"].append(_appearance(number, folder, href, person))
    rows = sorted(people.values(), key=lambda row: (-len(row["in"]), -_seconds(row)))
    for row in rows:
        row["seconds"] = round(_seconds(row), 3)
        pictured = sorted((one for one in row["in"] if one["face"]), key=lambda one: -one["seconds"])
        row["face"] = pictured[0]["face"] if pictured else ""
    return render(
        "index.html.j2",
        STYLES,
        SCRIPTS,
        standalone=False,
        mark=INDEX_MARK.decode(),
        films=films,
        people_count=len(rows),
        across=sum(len(row["in"]) > 1 for row in rows),
        total=format_seconds(sum(film["seconds"] for film in films)),
        program=f"facerec {__version__}",
        data_json=json_block({"films": films, "people": rows}),
    )


def _film(summary: Mapping[str, Any], href: str) -> dict[str, Any]:
    """Return the row of a film."""
    movie = summary["movie"]
    seconds = movie["seconds"]
    return {
        **movie,
        "href": href,
        "length": format_seconds(seconds),
        "shots": summary["shots"],
        "named": len(summary["people"]),
        "unnamed": summary["unnamed"],
    }


def _appearance(film: int, folder: MovieFolder, href: str, person: Mapping[str, Any]) -> dict[str, Any]:
    """Return the appearance of a person in one film."""
    return {
        "film": film,
        "seconds": person["seconds"],
        "href": f"{href}#person={quote(person['person'], safe='')}",
        "sure": person["source"] == "annotator" or (person["probability"] or 0) >= SURE,
        "face": _face_address(folder, person["face"]) if person["face"] else "",
    }


def _seconds(row: Mapping[str, Any]) -> float:
    return float(sum(one["seconds"] for one in row["in"]))


def _face_address(folder: MovieFolder, face: str) -> str:
    """Return the address of a thumbnail as seen from the index."""
    path = folder.thumbnail(f"{folder.movie_id}:{face}")
    return quote(path.relative_to(folder.path.parent).as_posix())
