"""The report as a file: its data is that of the tables, and no value of the folder can become code."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from facerec import open_movie, report
from facerec.actors.database import ACTOR_COLUMNS
from facerec.folder.layout import MovieFolder
from facerec.folder.people import People, Person, people_bytes
from facerec.reporting.index_page import write_index
from facerec.reporting.page import json_block
from facerec.reporting.report_page import SCRIPTS, STYLES, report_page
from facerec.support.atomic import sha256_of
from tests.movie_folder import Shown, movie_folder, variable_times

SHOWN = (  # clusters 0 and 2 are Ada, 1 is unknown, 3 a shared page; cuts at 20 and 50
    Shown(0, 0, 20),
    Shown(1, 10, 20, x=100, height=180),
    Shown(0, 20, 30),
    Shown(2, 25, 40, x=200, height=36),
    Shown(1, 60, 70, x=100),
    Shown(3, 80, 95, x=30),
)
CUTS = (20, 50)
NAMES = {0: {"nm1": 0.95, "nm2": 0.05}, 2: {"nm1": 0.5}, 1: {"nm2": 0.4}}
CAST = {"nm1": "Ada Lovelace", "nm2": "Bob"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    "\"'><img src=x onerror=alert(2)>",
    "\u202egnitirw thgir ot tfel\u2066 {{ 7 * 7 }} <!--",
    "N" * 300,
)


def make(parent: Path, **more: Any) -> MovieFolder:
    options = {"cuts": CUTS, "cast": CAST, "poor_pages": (3,), **more}
    return movie_folder(parent, SHOWN, NAMES, **options)


def data_of(page: bytes, element: str = "facerec-data") -> dict[str, Any]:
    """Return the JSON in the script element with the given id."""
    match = re.search(rf'<script type="application/json" id="{element}">(.*?)</script>'.encode(), page, re.S)
    assert match is not None
    return dict(json.loads(match[1]))


class Elements(HTMLParser):
    """The elements of a page, and the text of its scripts and styles."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[str] = []
        self.inside = False
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag in ("script", "style") and "type" not in dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.code.append(data)


def test_the_data_is_that_of_the_tables(tmp_path: Path) -> None:
    folder = make(tmp_path)
    movie = open_movie(folder.path)
    data = data_of(report_page(movie, folder.report))
    ada, unknown, shared = data["people"]
    assert (ada["name"], ada["source"], ada["probability"]) == ("Ada Lovelace", "prediction", 0.95)
    assert ada["clusters"] == [0, 2] and ada["spans"] == [0, 40] and (ada["first"], ada["last"]) == (0, 39)
    assert (unknown["name"], unknown["source"], unknown["spans"]) == ("unknown 1", "none", [10, 20, 60, 70])
    assert unknown["seconds"] == pytest.approx(0.8) and unknown["share"] == pytest.approx(0.2)
    assert shared["shared"] and not ada["shared"]
    assert data["together"] == [[0, 1, 0.4, 1]] and data["cuts"] == [20, 50]
    assert data["clusters"][0]["names"] == [["nm1", "Ada Lovelace", 0.95], ["nm2", "Bob", 0.05]]
    assert data["trajectories"]["person"] == [0, 1, 0, 0, 1, 2]
    assert data["trajectories"]["pictures"][0] == [f"{frame}:0_10_50_100" for frame in (0, 5, 10, 15)]
    assert set(ada["faces"]) <= {face for i in (0, 2, 3) for face in data["trajectories"]["pictures"][i]}
    manifest = json.loads(folder.manifest.read_bytes())["stages"]
    assert data["made_from"]["clusters.json"] == manifest["cluster"]["outputs"]["clusters.json"]


def test_times_are_those_of_the_frames_of_a_film_of_variable_rate(tmp_path: Path) -> None:
    folder = make(tmp_path, pts=variable_times(100, 1, 3, 50), frame_rate="15")
    movie = open_movie(folder.path)
    data = data_of(report_page(movie, folder.report))
    ticks, times = 0, []
    for step, count in data["times"]["runs"]:
        for _ in range(count):
            ticks += step
            times.append(ticks * data["times"]["unit"])
    assert times == pytest.approx(movie.times.seconds[:-1].tolist())


def test_thumbnails_and_film_are_addressed_from_the_page(tmp_path: Path) -> None:
    film = tmp_path / "films" / "7-Öfter #1 100%?.mp4"
    film.parent.mkdir()
    film.write_bytes(b"a film")
    folder = make(tmp_path / "out", film=film)
    data = data_of(report_page(open_movie(folder.path), folder.report))
    assert data["images"] == "images"
    href = data["movie"]["film_href"]
    assert not re.search(r"[ #?Ö]", href) and (folder.path / unquote(href)).resolve() == film
    film.unlink()
    data = data_of(report_page(open_movie(folder.path), folder.report))
    assert data["movie"]["film_href"] is None


def test_a_standalone_report_has_its_pictures_inside_and_refers_to_no_file(tmp_path: Path) -> None:
    folder = make(tmp_path)
    page = report_page(open_movie(folder.path), folder.standalone_report, standalone=True)
    data = data_of(page)
    shown = {face for person in data["people"] for face in person["faces"]}
    assert shown and shown == set(data["pictures"]) and data["images"] is None
    for face, address in data["pictures"].items():
        jpeg = base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))
        assert jpeg == folder.thumbnail(f"7:{face}").read_bytes()
    assert b"img-src data:;" in page and b"file:" not in page


def test_only_the_scripts_of_the_page_may_run_and_none_may_send(tmp_path: Path) -> None:
    folder = make(tmp_path)
    elements = Elements(report_page(open_movie(folder.path), folder.report))
    (policy,) = (a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none';")
    assert not re.search(r"unsafe|https?:|\*|connect-src", policy)
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in elements.code}
    assert len(hashes) == len(SCRIPTS) + len(STYLES)
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes
    for tag, attributes in elements.found:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}, (
            tag,
            attributes,
        )
        assert not re.match(r"(https?:)?//", attributes.get("src") or attributes.get("href") or ""), (
            attributes
        )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_titles_and_names_are_text(tmp_path: Path, text: str) -> None:
    folder = make(tmp_path, cast={"nm1": text, "nm2": text})
    database = tmp_path / "actor_db"
    database.mkdir()
    with (database / "actors.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerows([ACTOR_COLUMNS, [7, text, "1999", "nm1", text, "Role", "", ""]])
    plain = Elements(report_page(open_movie(folder.path), folder.report))
    page = report_page(open_movie(folder.path, actor_db=database), folder.report)
    elements = Elements(page)
    assert [tag for tag, _ in elements.found] == [tag for tag, _ in plain.found]
    assert elements.code == plain.code
    assert data_of(page)["movie"]["title"] == " ".join(text.split())
    assert text.encode() not in page or "<" not in text


def test_json_in_a_script_element_cannot_end_it() -> None:
    value = {"a": ["</script>", "<!--<script>", "&amp;", "\u2028\u2029", 'quote " and \\ backslash']}
    text = json_block(value)
    assert not re.search("[<>&\u2028\u2029]", text) and json.loads(text) == value


def test_holes_and_warnings_are_said_first(tmp_path: Path) -> None:
    folder = make(tmp_path)
    manifest = json.loads(folder.manifest.read_bytes())
    manifest["shards"] = {"n": 3, "missing": "1", "missing_frames": [[33, 66]], "reports": []}
    manifest["skipped_frames"] = [3, 4, 5, 90]
    manifest["notes"] = ["the film ends early"]
    folder.manifest.write_text(json.dumps(manifest))
    page = report_page(open_movie(folder.path), folder.report)
    notices = re.findall(r'class="notice" role="note"><strong>([^<]*)</strong> ([^<]*)<', page.decode())
    assert notices == [
        ("Incomplete:", "shards 1 of 3 were left out: no face was looked for in 33 frames."),
        ("Damaged film:", "4 frames could not be decoded (3-5,90)."),
        ("Film:", "the film ends early"),
    ]
    assert "63.0 %" in page.decode() and data_of(page)["coverage"]["holes"] == [[33, 66]]


def test_a_film_without_faces_has_a_report(tmp_path: Path) -> None:
    folder = movie_folder(tmp_path, ())
    data = data_of(report_page(open_movie(folder.path), folder.report))
    assert data["people"] == [] and data["images"] is None and data["histograms"] == {}


def test_the_index_names_people_across_films(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = make(tmp_path), make(tmp_path, movie_id=12)
    assert report.main(["--path", str(one.path)]) == 0 and not (tmp_path / "index.html").exists()
    assert report.main(["--path", str(two.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"all films: {tmp_path / 'index.html'}"
    data = data_of((tmp_path / "index.html").read_bytes())
    assert [(film["id"], film["named"], film["unnamed"]) for film in data["films"]] == [(7, 1, 1), (12, 1, 1)]
    (ada,) = data["people"]
    assert ada["name"] == "Ada Lovelace" and [place["film"] for place in ada["in"]] == [0, 1]
    assert ada["in"][1]["href"] == "12-data/report.html#person=nm1"
    assert (tmp_path / unquote(ada["face"])).is_file()
    assert b'href="../index.html"' in two.report.read_bytes()


def test_the_index_replaces_only_its_own_page_and_passes_over_others_reports(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in (make(tmp_path, movie_id=movie) for movie in (7, 8)):
        folder.report.write_bytes(report_page(open_movie(folder.path), folder.report))
    other = MovieFolder(tmp_path / "9-data")
    other.create()
    other.report.write_text("<p>of another program</p>")
    page = write_index(tmp_path)
    assert page is not None and len(data_of(page.read_bytes())["films"]) == 2
    assert f"{other.report}: is no report" in caplog.text
    page.write_text("mine")
    assert write_index(tmp_path) is None and page.read_text() == "mine"
    assert "is not a page of facerec" in caplog.text


def test_annotators_names_come_before_predictions(tmp_path: Path) -> None:
    folder = make(tmp_path)
    inputs = {
        path.name: sha256_of(path) for path in (folder.trajectories, folder.clusters, folder.predictions)
    }
    said = (
        Person("nm1", "Ada Lovelace", "nm1", "prediction", (0, 2, 3)),
        Person("nm2", "Bob", "nm2", "annotator", (1,)),
    )
    people = People(7, inputs | {"labels": "0" * 64}, said, no_face=(4,), mixed=(5,))
    folder.people.write_bytes(people_bytes(people, len(SHOWN)))
    data = data_of(report_page(open_movie(folder.path), folder.report))
    shown = {person["name"]: (person["source"], person["named"]) for person in data["people"]}
    assert shown == {
        "Ada Lovelace": ("prediction", True),
        "Bob": ("annotator", True),
        "unknown, trajectory 5": ("annotator", False),
    }
    assert data["trajectories"]["person"] == [0, 1, 0, 0, -1, 2]  # -1: no face


def test_a_person_whom_annotators_do_not_know_is_not_named(tmp_path: Path) -> None:
    folder = make(tmp_path)
    inputs = {
        path.name: sha256_of(path) for path in (folder.trajectories, folder.clusters, folder.predictions)
    }
    said = (
        Person("nm1", "Ada Lovelace", "nm1", "prediction", (0, 2, 3)),
        Person("unknown:1", "unknown 1", None, "annotator", (1, 4)),
        Person("unnamed:forgotten", "unnamed", None, "annotator", (5,)),
    )
    people = People(7, inputs | {"labels": "0" * 64}, said, no_face=(), mixed=())
    folder.people.write_bytes(people_bytes(people, len(SHOWN)))
    page = report_page(open_movie(folder.path), folder.report)
    assert [person["named"] for person in data_of(page)["people"]] == [True, False, False]
    assert "<dd>3 <small>1 named</small></dd>" in page.decode()
    assert b'"unnamed":2' in page  # in the summary for the index, too


def test_a_film_of_which_the_clock_begins_later_says_so(tmp_path: Path) -> None:
    late = movie_folder(tmp_path, [Shown(0, 0, 10)], frames=50, pts=range(20, 70))
    page = report_page(open_movie(late.path), late.report).decode()
    assert "<dd>2.0 s <small>50 frames, from 0.8 s of the film&#39;s clock</small></dd>" in page
    assert (
        "50 frames</small>"
        in report_page(
            open_movie(movie_folder(tmp_path / "on", [Shown(0, 0, 10)], frames=50).path), late.report
        ).decode()
    )
