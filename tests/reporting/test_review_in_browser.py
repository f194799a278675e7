"""The review in a real browser: keys, mouse, reload, undo, and what the commands make of what is saved."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facerec import apply_labels, classify_knn, cluster, evaluate, learn_from_labels, open_movie, report
from facerec.actors.database import ActorDatabase
from facerec.folder.layout import MovieFolder
from facerec.folder.people import read_people
from facerec.folder.plan import Plan, pack_times, write_plan
from facerec.reporting.report_page import report_page
from facerec.support.cli import run_main
from tests.commands.test_learn_from_labels import CAST as ACTORS
from tests.commands.test_learn_from_labels import database, film, learnt
from tests.movie_folder import Shown, movie_folder
from tests.reporting.browser import PHONE, Page
from tests.reporting.test_report_in_browser import CONTRAST, NAMELESS
from tests.reporting.test_report_page import HOSTILE

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all
__all__ = ["database"]  # a fixture

COLUMNS = (
    "index,id,username,movie_id,cluster_id,cluster_status,label,n_images,created_on,processing_time,id_ref,tag,"
    "image_status,trajectory"
)
NAMES = {"nm1": "Ada Lovelace", "nm2": "Bob", "nm3": "Adam Smith"}
# longest first: 0 is predicted as Ada, 1 to 4 nobody knows, 5 is a page of faces too poor to compare
SHOWN = (
    Shown(0, 0, 200), Shown(0, 300, 400), Shown(1, 0, 150, x=100), Shown(1, 220, 290, x=100),
    Shown(2, 410, 520, x=200), Shown(2, 530, 560), Shown(3, 600, 660, x=200), Shown(4, 700, 750, x=300),
    Shown(5, 800, 820), Shown(5, 830, 850, x=60),
)  # fmt: skip
CUTS = (210, 295, 405, 525, 590, 690, 790)


def make(parent: Path, shown: Sequence[Shown] = SHOWN, **more: Any) -> MovieFolder:
    options = {"cuts": CUTS, "cast": NAMES, "poor_pages": (5,), "frames": 900, **more}
    folder = movie_folder(parent, shown, {0: {"nm1": 0.8}}, **options)
    folder.report.write_bytes(report_page(open_movie(folder.path), folder.report))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> MovieFolder:
    return make(tmp_path)


@pytest.fixture
def page(browser: Any, folder: MovieFolder) -> Iterator[Page]:
    opened = Page(browser, folder.report, "#review")
    yield opened
    assert opened.troubles == []
    opened.close()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def title(page: Page) -> str:
    return page.texts("#review h3")[0]


def confirming(page: Page) -> str:
    """What Enter says of the groups that are ticked."""
    return " ".join(page.texts("[data-part=confirm]")[0].split())


def note(page: Page) -> str:
    """The line under the title: which group is asked about."""
    return page.texts("#review h3 + p")[0]


def open_cluster(page: Page, number: int) -> None:
    page.evaluate(f"facerec.review.open({number})")


def save(page: Page) -> str:
    with page.expect_download() as download:
        page.click("[data-part=save]")
    assert download.value.suggested_filename == "labels.csv"
    return Path(download.value.path()).read_text(encoding="utf-8")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def said(text: str) -> dict[int, set[tuple[str, str, str, str]]]:
    """By trajectory: cluster, its status, its label, and the status of a picture."""
    found: dict[int, set[tuple[str, str, str, str]]] = {}
    for row in rows_of(text):
        answer = (row["cluster_id"], row["cluster_status"], row["label"], row["image_status"])
        found.setdefault(int(row["trajectory"]), set()).add(answer)
    return found


def test_every_answer_has_a_key_and_is_saved_as_the_backend_exports_it(
    page: Page, folder: MovieFolder
) -> None:
    assert title(page) == "Who is this?" and "cluster 1 · 2 appearances · 8.8 s" in note(page)
    press(page, "t")
    page.keyboard.type("the waiter")
    assert page.texts("#review-names li") == ["Somebody else: the waiter"]
    press(page, "Enter")
    open_cluster(page, 0)
    assert title(page) == "Is this Ada Lovelace?"
    assert "By the pictures of the actor database alone, as on the cards: Ada Lovelace" in " ".join(
        page.texts("#review .quiet")
    )
    press(page, "Enter")
    open_cluster(page, 2)
    press(page, "x")
    open_cluster(page, 3)
    press(page, "u")
    open_cluster(page, 4)
    press(page, "l")
    assert title(page) == "Too poor to compare: is there one person in all of them?"
    press(page, "s")
    assert title(page) == "Everything else is decided: 1 group to be asked later."
    assert "100 % of the time on screen decided" not in page.texts("[data-part=left]")
    text = save(page)
    page.click("[data-part=again]")
    assert "cluster 4 · " in note(page)
    press(page, "s")
    assert title(page) == "Everything is decided."
    assert "100 % of the time on screen decided" in page.texts("[data-part=left]")
    assert text.splitlines()[0] == COLUMNS
    assert said(text) == {
        0: {("0", "labeled", "nm1", "same")}, 1: {("0", "labeled", "nm1", "same")},
        2: {("1", "labeled", "the waiter", "same")}, 3: {("1", "labeled", "the waiter", "same")},
        4: {("2", "discarded", "", "invalid")}, 5: {("2", "discarded", "", "invalid")},
        6: {("3", "labeled", "unknown 3", "same")}, 7: {("4", "postponed", "", "")},
        8: {("5", "discarded", "", "")}, 9: {("5", "discarded", "", "")},
    }  # fmt: skip
    rows = rows_of(text)
    assert [row["index"] for row in rows] == [str(i) for i in range(len(rows))]
    assert all(row["id"] == row["id_ref"] and row["movie_id"] == "7" for row in rows)
    pictures = {path.stem for path in folder.images.iterdir()}
    assert {row["tag"] for row in rows} == pictures and len(rows) == len(pictures)
    for row in rows:
        assert int(row["n_images"]) == sum(other["id"] == row["id"] for other in rows)


def test_type_ahead_offers_the_cast_and_no_cancels(page: Page) -> None:
    open_cluster(page, 2)
    press(page, "t")
    page.keyboard.type("ada")
    assert page.texts("#review-names li") == ["Ada Lovelace", "Adam Smith", "Somebody else: ada"]
    press(page, "ArrowDown", "Enter")
    open_cluster(page, 0)
    press(page, "n")  # not Ada: the same group is asked about again
    assert "cluster 0" in note(page) and title(page) != "Is this Ada Lovelace?"
    press(page, "t")
    page.keyboard.type("LOVELACE, ada")
    press(page, "Escape", "t")
    page.keyboard.type("bob")
    press(page, "Enter")
    made = said(save(page))
    assert made[4] == {("2", "labeled", "nm3", "same")} and made[0] == {("0", "labeled", "nm2", "same")}


def test_faces_that_leave_are_asked_about_and_carry_their_own_name(page: Page) -> None:
    open_cluster(page, 1)
    page.click(".pick[data-index='3']")
    assert page.locator(".pick[aria-pressed=true]").count() == page.locator(".pick[data-index='3']").count()
    assert "1 appearance will leave" in page.texts("[data-part=leaving]")[0]
    press(page, "t")
    page.keyboard.type("Bob")
    press(page, "Enter")
    left = said(save(page))
    assert left[2] == {("1", "labeled", "nm2", "same")} and left[3] == {("1", "labeled", "nm2", "different")}
    page.evaluate(
        "facerec.review.state().work.groups.forEach((g) => { if (g.from === 1) window.part = g.id; })"
    )
    while "faces that left cluster 1" not in note(page):
        press(page, "l")
    press(page, "t")
    page.keyboard.type("Adam Smith")
    press(page, "Enter")
    named = said(save(page))
    assert named[2] == {("1", "labeled", "nm2", "same")} and named[3] == {("1", "labeled", "nm3", "same")}
    ids = {row["trajectory"]: row["id"] for row in rows_of(save(page))}
    assert ids["2"] != ids["3"]  # two annotations of one cluster


def test_a_group_can_be_split_without_a_name(page: Page) -> None:
    open_cluster(page, 2)
    page.click(".pick[data-index='5']")
    page.click("[data-part=split]")
    assert "cluster 2 · 1 appearance ·" in note(page)
    made = said(save(page))
    assert made == {4: {("2", "mixed", "", "")}, 5: {("2", "mixed", "", "")}}


def test_single_pictures_are_rejected(page: Page) -> None:
    open_cluster(page, 1)
    page.check("[name=review-mode][value=different]")
    tag = page.locator(".pick").first.get_attribute("data-tag")
    page.locator(".pick").first.click()
    page.check("[name=review-mode][value=none]")
    other = page.locator(".pick").last.get_attribute("data-tag")
    page.locator(".pick").last.click()
    press(page, "t")
    page.keyboard.type("Bob")
    press(page, "Enter")
    statuses = {row["tag"]: row["image_status"] for row in rows_of(save(page))}
    assert (statuses[tag], statuses[other]) == ("different", "invalid")
    assert sorted(statuses.values()).count("same") == len(statuses) - 2


def test_two_clusters_are_joined_by_number(page: Page) -> None:
    open_cluster(page, 3)
    press(page, "t")
    page.keyboard.type("4")
    assert page.texts("#review-names li")[0] == "The same person as cluster 4"
    press(page, "Enter")
    assert "cluster 4, 3 · 2 appearances" in note(page)
    press(page, "u")
    made = said(save(page))
    assert made == {6: {("3", "labeled", "unknown 3", "same")}, 7: {("4", "labeled", "unknown 3", "same")}}


def test_several_groups_of_one_person_are_confirmed_with_one_key(browser: Any, tmp_path: Path) -> None:
    shown = [Shown(k, 100 * k, 100 * k + 60) for k in range(4)]
    made = movie_folder(tmp_path, shown, {k: {"nm1": 0.93} for k in range(4)}, cast=NAMES, frames=400)
    made.report.write_bytes(report_page(open_movie(made.path), made.report))
    page = Page(browser, made.report, "#review")
    assert title(page) == "Which of these are Ada Lovelace?"
    assert confirming(page) == "4 groups are Ada Lovelace Enter"
    press(page, "2")
    assert confirming(page) == "3 groups are Ada Lovelace Enter"
    press(page, "Enter")
    assert title(page) in ("Who is this?", "Are these two the same person?")
    assert "1 question left" in page.texts("[data-part=left]")[0]
    labels = said(save(page))
    assert len(labels) == 3 and {answer for one in labels.values() for answer in one} == {
        (str(k), "labeled", "nm1", "same") for k in labels
    }
    page.close()


def test_undecided_evidence_is_asked_as_a_comparison(browser: Any, folder: MovieFolder) -> None:
    page = folder.report.read_bytes()
    near = b'"near":[[],[2,8],[],[],[],[]],"links"'  # clusters 1 and 2 are perhaps one person, by their faces
    changed, count = re.subn(rb'"near":.*?,"links"', near, page, count=1)
    folder.report.write_bytes(changed)
    opened = Page(browser, folder.report, "#review")
    open_cluster(opened, 1)
    press(opened, "t")
    opened.keyboard.type("Bob")
    press(opened, "Enter")
    open_cluster(opened, 2)
    likely = opened.evaluate("facerec.review.state().question.likely.map(({ label, p }) => [label.name, p])")
    assert count == 1 and likely[0][0] == "Bob" and 0.3 < likely[0][1] < 0.9
    assert title(opened) == "Are these two the same person?"
    assert opened.locator(".review-two figure").count() == 2
    press(opened, "n")
    assert title(opened) == "Who is this?" and "cluster 2 ·" in note(opened)
    press(opened, "z")
    assert title(opened) == "Are these two the same person?"
    press(opened, "y")
    assert said(save(opened))[4] == {("2", "labeled", "nm2", "same")}
    assert opened.troubles == []
    opened.close()


def test_undo_and_redo(page: Page) -> None:
    first = note(page)
    press(page, "u")
    second = note(page)
    assert second != first
    press(page, "z")
    assert note(page) == first and page.locator("[data-part=save]").is_disabled()
    press(page, "Shift+Z")
    assert note(page) == second
    press(page, "Control+z")
    page.click("[data-part=redo]")
    assert note(page) == second and page.locator("[data-part=redo]").is_disabled()
    press(page, "z", "s")  # another answer: the old one cannot be redone
    assert page.locator("[data-part=redo]").is_disabled()
    assert said(save(page))[2] == {("1", "discarded", "", "")}


def test_work_survives_a_reload_and_a_crash(page: Page, folder: MovieFolder) -> None:
    open_cluster(page, 0)
    press(page, "Enter", "u")
    before = said(save(page))
    page.reload()
    assert said(save(page)) == before
    press(page, "z")
    fresh = page.context.new_page()  # the other tab is not closed in an orderly way
    fresh.goto(folder.report.as_uri() + "#review")
    assert fresh.locator("[data-part=redo]").is_enabled()
    fresh.keyboard.press("Shift+Z")
    with fresh.expect_download() as download:
        fresh.click("[data-part=save]")
    assert said(Path(download.value.path()).read_text()) == before


def answer_everything(page: Page) -> str:
    """Give every kind of answer (name, split, join, rejected picture, no face); returns what is saved."""
    open_cluster(page, 1)
    page.check("[name=review-mode][value=none]")
    page.locator(".pick").first.click()
    page.check("[name=review-mode][value=leave]")
    page.click(".pick[data-index='3']")
    press(page, "t")
    page.keyboard.type('A, "B"\nC')
    press(page, "Enter")
    open_cluster(page, 0)
    press(page, "Enter")
    open_cluster(page, 2)
    press(page, "x")
    open_cluster(page, 3)
    press(page, "t")
    page.keyboard.type("4")
    press(page, "Enter", "u")
    return save(page)


def without_times(text: str) -> list[dict[str, str]]:
    dropped = ("index", "id", "id_ref", "created_on", "processing_time")
    rows = [{key: value for key, value in row.items() if key not in dropped} for row in rows_of(text)]
    return sorted(rows, key=lambda row: row["tag"])


def load(page: Page, text: str, name: str = "labels.csv") -> None:
    content = {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    page.set_input_files("[data-part=file]", content)
    page.wait_until("!document.querySelector('[data-part=note]').hidden")


def test_what_was_saved_can_be_loaded_and_saved_again(page: Page, browser: Any, folder: MovieFolder) -> None:
    text = answer_everything(page)
    other = Page(browser, folder.report, "#review")  # another browser: nothing is kept there
    assert other.locator("[data-part=save]").is_disabled()
    load(other, text)
    assert "Loaded labels.csv." in other.texts("[data-part=note]")[0]
    assert without_times(save(other)) == without_times(text)
    press(other, "z")
    assert other.locator("[data-part=save]").is_disabled()
    saved_again = io.StringIO(newline="")  # by a spreadsheet of a language with a comma in decimal numbers
    rows = csv.reader(io.StringIO(text))
    csv.writer(saved_again, delimiter=";", quoting=csv.QUOTE_ALL).writerows(rows)
    load(other, "\ufeffsep=;\r\n" + saved_again.getvalue(), "again.csv")
    other.wait_until("document.querySelector('[data-part=note]').textContent.includes('Loaded again.csv.')")
    assert without_times(save(other)) == without_times(text)
    assert other.troubles == []
    other.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "This is not a table of labels: it lacks the column movie_id"),
        ("a,b\n1,2\n", "This is not a table of labels: it lacks the column movie_id"),
        (f"{COLUMNS}\n1,2\n", "Row 1 of the table has 2 cells, but the header has 14."),
        (f'{COLUMNS}\n"1', "a closing quote is missing"),
        (
            f"{COLUMNS}\n0,1,x,7,0,labeled,nm1,1,,,1,7:5:1_2_3_4,same,0\n",
            "None of its 1 face is in this film",
        ),
    ],
)
def test_a_bad_file_is_refused_with_a_reason(page: Page, text: str, message: str) -> None:
    load(page, text)
    assert message in page.texts("[data-part=note]")[0]
    assert page.locator("[data-part=save]").is_disabled()


def test_a_film_that_was_clustered_again_keeps_answers_by_picture(
    page: Page, browser: Any, folder: MovieFolder, tmp_path: Path
) -> None:
    open_cluster(page, 1)
    press(page, "t")
    page.keyboard.type("Bob")
    press(page, "Enter")
    open_cluster(page, 2)
    press(page, "x")
    moved = {0: 1, 1: 0}  # clusters 0 and 1 change places, and a trajectory of each is in one of the other
    shown = [Shown(moved.get(one.cluster, one.cluster), one.begin, one.end, one.x) for one in SHOWN[:-2]]
    shown[3] = Shown(2, 220, 290, x=100)  # of Bob: now in the cluster without faces
    again = make(tmp_path / "again", [*shown, *SHOWN[-2:]])
    folder.report.write_bytes(again.report.read_bytes())
    page.reload()
    assert "The film was clustered again since your last review." in page.texts("[data-part=note]")[0]
    made = said(save(page))
    assert made[2] == {("0", "labeled", "nm2", "same")} and made[3] == {("2", "labeled", "nm2", "same")}
    assert made[4] == made[5] == {("2", "discarded", "", "invalid")}
    assert made.keys() == {2, 3, 4, 5}
    page.reload()  # they are taken over once
    assert page.locator("[data-part=note]").is_hidden() and said(save(page)) == made


def test_the_answers_of_people_json_are_where_the_review_begins(browser: Any, folder: MovieFolder) -> None:
    first = Page(browser, folder.report, "#review")
    text = answer_everything(first)
    first.close()
    labels = folder.path.parent / "labels.csv"
    labels.write_text(text)
    assert run_main(apply_labels.main, ["--path", str(folder.path), "--labels", str(labels)]) == 0
    assert run_main(report.main, ["--path", str(folder.path)]) == 0
    page = Page(browser, folder.report, "#review")
    assert "The review begins with the answers in people.json." in page.texts("[data-part=note]")[0]
    made = said(save(page))
    assert made[0] == {("0", "labeled", "nm1", "same")} and made[4] == {("2", "discarded", "", "invalid")}
    assert made[6] == {("3", "labeled", "unknown 3", "same")}
    page.close()


def test_the_review_opens_from_a_card_and_leaves_the_report_as_it_was(
    browser: Any, folder: MovieFolder
) -> None:
    page = Page(browser, folder.report)
    assert page.locator("#review").is_hidden()
    page.locator(".review-this").first.click()
    assert "cluster 0 ·" in note(page) and page.locator("main").is_hidden()
    press(page, "Escape")
    assert page.locator("main").is_visible() and page.locator("#review").is_hidden()
    page.click("#review-open")
    assert page.locator("#review").is_visible()
    assert page.troubles == []
    page.close()


def test_a_page_without_pictures_has_no_review(browser: Any, folder: MovieFolder) -> None:
    for path in folder.images.iterdir():
        path.unlink()
    folder.report.write_bytes(report_page(open_movie(folder.path), folder.report))
    page = Page(browser, folder.report, "#review")
    assert page.locator("#review, #review-open").count() == 0
    page.close()


@pytest.mark.parametrize("viewport", [None, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_is_readable_and_named(
    browser: Any, folder: MovieFolder, viewport: Any, scheme: str
) -> None:
    context = {"viewport": viewport} if viewport else {}
    page = Page(browser, folder.report, "#review", color_scheme=scheme, **context)
    for number in (1, 0, 5):
        open_cluster(page, number)
        page.locator(".pick").first.click()
        press(page, "t")
        page.keyboard.type("a")
        assert page.evaluate(CONTRAST) == [] and page.evaluate(NAMELESS) == []
        width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]
        press(page, "Escape")
    page.close()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_text(browser: Any, tmp_path: Path, text: str) -> None:
    made = make(tmp_path, cast={"nm1": text, "nm2": text + " 2"})
    page = Page(browser, made.report, "#review")
    open_cluster(page, 0)
    press(page, "Enter")
    open_cluster(page, 1)
    press(page, "t")
    page.keyboard.insert_text(text + text)
    press(page, "Enter")
    assert said(save(page))[0] == {("0", "labeled", "nm1", "same")}
    page.reload()
    assert page.evaluate("document.images.length") > 0 and page.troubles == []
    assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [1280, 1280]
    page.close()


def test_the_commands_take_what_the_review_saves(
    browser: Any, database: ActorDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A split, a free name and a rejected picture reach the scores, the actor database and people.json."""
    folder = film(tmp_path, 7)  # three trajectories of each of three actors, one of a stranger
    video = {
        "time_base": "1/25",
        "frame_rate": "25",
        "times": pack_times(np.arange(400)),
        "display_size": [640, 360],
    }
    write_plan(folder, Plan(7, {"name": "7-Film.mp4"}, video, 400, 1, {}, {}, ()), Path("7-Film.mp4"), [])
    paths = ["--path", str(folder.path)]
    assert run_main(cluster.main, paths) == 0
    db = ["--actor-db", str(database.folder)]
    assert run_main(classify_knn.main, [*paths, *db]) == 0
    for path in sorted(folder.images.iterdir()):  # the backend shows at most two of a trajectory
        if int(path.stem.split(":")[1]) % 40 not in (0, 25):
            path.unlink()
    folder.report.write_bytes(report_page(open_movie(folder.path, actor_db=database.folder), folder.report))
    page = Page(browser, folder.report, "#review")
    who = {0: "Ada Lovelace", 1: "Grace Hopper", 2: "Hedy Lamarr", 9: "The Waiter"}
    for first, name in who.items():
        page.evaluate(f"facerec.review.open(facerec.data.trajectories.cluster[{first}])")
        if first == 0:
            page.click(".pick[data-index='6']")  # say that the third of Ada's trajectories is somebody else
        if first == 1:
            page.check("[name=review-mode][value=different]")
            rejected = page.locator(".pick[data-index='4']").first.get_attribute("data-tag")
            page.locator(".pick[data-index='4']").first.click()
            page.check("[name=review-mode][value=leave]")
        press(page, "t")
        page.keyboard.type(name)
        press(page, "Enter")
    while "faces that left" not in note(page):
        press(page, "l")
    press(page, "t")
    page.keyboard.type("Hedy Lamarr")
    press(page, "Enter")
    labels = tmp_path / "labels.csv"
    labels.write_text(save(page))
    page.close()

    capsys.readouterr()
    assert run_main(evaluate.main, [*paths, "--truth", str(labels), *db]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["judged"] == 10 and figures["people"] == 4 and figures["mixed"] == 1
    assert run_main(learn_from_labels.main, [*paths, "--labels", str(labels), *db]) == 0
    said_of_learning = capsys.readouterr()
    assert "'The Waiter' (2)" in said_of_learning.err
    shots_of = {actor: set() for actor in ACTORS}  # type: ignore[var-annotated]
    for tag, actor in learnt(database).items():
        shots_of[actor].add(int(tag.split(":")[1]) // 40)
    assert shots_of == {"nm1": {0, 3}, "nm2": {1, 7}, "nm3": {2, 5, 6, 8}}
    assert run_main(apply_labels.main, [*paths, "--labels", str(labels), *db]) == 0
    people = read_people(folder.people, 7, 10)
    assert {one.name: list(one.trajectories) for one in people.people} == {
        "Ada Lovelace": [0, 3], "Grace Hopper": [1, 7], "Hedy Lamarr": [2, 5, 6, 8], "The Waiter": [9],
    }  # fmt: skip
    assert people.mixed == [4] and rejected is not None
