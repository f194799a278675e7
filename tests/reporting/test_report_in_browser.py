"""The report in a real browser: what people click, type and read, at the desk, on a telephone, on paper."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facerec import open_movie, report
from facerec.actors.database import ACTOR_COLUMNS
from facerec.folder.layout import MovieFolder
from facerec.reporting.report_page import report_page
from tests.movie_folder import Shown, movie_folder
from tests.reporting.browser import PHONE, Page
from tests.reporting.test_report_page import CAST, CUTS, HOSTILE, NAMES, SHOWN

pytestmark = pytest.mark.xdist_group("browser")  # one browser for all

CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => rgb(colour).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (rgb(colour)[3] === 255) return colour;
    }
    return 'white';
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility() || node.closest('script, svg, option, .offscreen, .skip')) continue;
    const style = getComputedStyle(node), [a, b] = [light(style.color), light(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${node.tagName}.${node.className}: ${node.textContent}`);
  }
  return found;
}"""
NAMELESS = """() => {
  const name = (node) => node.getAttribute('aria-label') || node.textContent.trim() || node.title
    || (node.labels && [...node.labels].map((label) => label.textContent.trim()).join())
    || [...node.querySelectorAll('img')].map((image) => image.alt).join()
    || document.getElementById(node.getAttribute('aria-labelledby'))?.textContent;
  const controls = [...document.querySelectorAll('a, button, input, select, summary, [tabindex]')];
  const images = [...document.images].filter((image) => !image.hasAttribute('alt'));
  const nameless = controls.filter((node) => node.checkVisibility() && !name(node));
  return [...nameless, ...images].map((node) => node.outerHTML);
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> MovieFolder:
    place = tmp_path_factory.mktemp("report")
    film = place / "7-Film.mp4"
    film.write_bytes(b"a film")
    made = movie_folder(place, SHOWN, NAMES, cuts=CUTS, cast=CAST, poor_pages=(3,), film=film)
    made.report.write_bytes(report_page(open_movie(made.path), made.report))
    return made


@pytest.fixture
def page(browser: Any, folder: MovieFolder) -> Iterator[Page]:
    opened = Page(browser, folder.report)
    yield opened
    assert opened.troubles == [] and {url.partition(":")[0] for url in opened.requests} <= {"file", "data"}
    opened.close()


def cards(page: Page) -> list[str]:
    return page.texts(".card h3")


def test_people_come_first_with_faces_and_times(page: Page) -> None:
    assert cards(page) == ["Ada Lovelace", "unknown 1"] and page.texts("#people-count") == ["2 people"]
    first, second = page.texts(".card")
    assert "95 % sure" in first and "1.6 s" in first and "With unknown 1 0.4 s" in first
    assert "perhaps Bob 40 %" in second and "0:00:00.4" in second and "0:00:02.8" in second
    page.wait_until("[...document.querySelectorAll('.faces img')].every((i) => i.naturalWidth === 40)")


def test_search_sort_and_filter_choose_the_cards(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("LOVE ada")
    page.wait_until("document.querySelectorAll('.card').length === 1")
    assert cards(page) == ["Ada Lovelace"] and page.texts("#people-count") == ["1 of 2 people"]
    page.fill("#search", "nobody at all")
    page.wait_for_selector("text=Nobody matches.")
    page.fill("#search", "")
    page.wait_until("document.querySelectorAll('.card').length === 2")
    page.select_option("#sort", "unsure")
    assert cards(page) == ["unknown 1", "Ada Lovelace"]
    page.locator("label", has_text="Unknown").click()
    assert cards(page) == ["unknown 1"]
    page.locator("label", has_text="Not one person").click()
    assert cards(page) == ["unknown 3"] and "may be of several people" in page.texts(".card")[0]


def test_a_card_opens_to_clusters_and_to_every_appearance(page: Page) -> None:
    page.locator(".card summary").first.click()
    page.wait_for_selector(".card h4")
    assert page.texts(".card h4") == ["Cluster 0", "Cluster 2"]
    assert page.texts(".card .moments a") == ["0:00:00.0", "0:00:00.8", "0:00:01.0"]
    page.locator(".card .moments a").nth(2).click()
    page.wait_for_selector("#moment .code")
    assert page.url.endswith("#frame=25") and page.texts("#moment .code") == ["00:00:01.000"]
    assert "frame 25 · shot 2 of 3 (0:00:00.8 to 0:00:02.0)" in page.texts("#moment")[0]
    assert page.texts("#moment .who li") == ["Ada Lovelace"]


def test_a_moment_can_be_copied_and_leads_into_the_film(browser: Any, folder: MovieFolder) -> None:
    opened = Page(browser, folder.report, "#frame=15", permissions=["clipboard-read", "clipboard-write"])
    opened.wait_for_selector("#moment .who li")
    assert opened.texts("#moment .who li") == ["Ada Lovelace", "unknown 1"]
    opened.click("text=Copy timecode")
    opened.wait_until("document.getElementById('live').textContent === 'Copied 00:00:00.600'")
    assert opened.evaluate("navigator.clipboard.readText()") == "00:00:00.600"
    assert opened.get_attribute("#moment a.button", "href") == "../7-Film.mp4#t=0.600"
    opened.close()


def test_the_timeline_zooms_to_a_shot_by_mouse_and_by_keyboard(page: Page) -> None:
    span = "facerec.timeline.span()"
    assert page.evaluate(span) == [0, 4]
    canvas = page.locator("#timeline-canvas")
    x = 170 + (canvas.bounding_box()["width"] - 170) * 0.3  # at 1.2 s, in shot 2
    canvas.dblclick(position={"x": x, "y": 40})
    assert page.evaluate(span) == pytest.approx([0.752, 2.048])
    assert page.texts("#timeline-span") == ["0:00:00.8 to 0:00:02.0"] and "shot 2" in page.texts("#moment")[0]
    page.focus("#timeline")
    for key in ("0", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate(span) == [0, 4] and page.texts("#live") == ["Ada Lovelace, 1.6 s on screen"]
    page.keyboard.press("ArrowDown")
    for key, frame in (("n", 60), ("n", 60), ("p", 10)):
        page.keyboard.press(key)
        assert page.evaluate("facerec.timeline.frame()") == frame
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "unknown 1"
    page.fill("#go", "0:01.8")
    page.click("#go-form button")
    assert page.evaluate("facerec.timeline.frame()") == 45
    page.fill("#go", "noon")
    page.click("#go-form button")
    assert page.get_attribute("#go", "aria-invalid") == "true"
    page.keyboard.press("Tab")
    page.click("#shot-after")
    page.check("#in-view")
    assert page.evaluate("facerec.timeline.rows().map((i) => facerec.people[i].name)") == ["unknown 1"]


def test_the_matrix_leads_to_the_moments_of_two_people(page: Page) -> None:
    page.wait_for_selector("#together-table td[data-pair]")
    page.locator("#together-table td[tabindex='0']").focus()
    page.keyboard.press("Enter")
    assert page.texts("#together-pair h3") == ["Ada Lovelace and unknown 1"]
    assert "0.4 s together, 1 time" in page.texts("#together-pair")[0]
    assert page.texts("#together-pair a") == ["0:00:00.4"]


def test_a_person_is_found_by_address_whatever_is_filtered(page: Page) -> None:
    page.locator("label", has_text="Unknown").click()
    page.evaluate("location.hash = '#person=nm1'")
    page.wait_for_selector(".card.chosen")
    assert page.texts(".card.chosen h3") == ["Ada Lovelace"]


def test_tables_sort_and_the_theme_is_kept(page: Page) -> None:
    stages = "#made table.sortable tbody td:first-child"
    page.locator("#made table.sortable th button").first.click()
    assert page.texts(stages) == sorted(page.texts(stages))
    page.locator("#made table.sortable th button").first.click()
    assert page.texts(stages) == sorted(page.texts(stages), reverse=True)
    for theme in ("Theme: light", "Theme: dark"):
        page.click("#theme")
        assert page.texts("#theme") == [theme]
    page.reload()
    assert page.texts("#theme") == ["Theme: dark"]
    page.evaluate("localStorage.clear()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE])
def test_text_is_legible_controls_have_names_and_nothing_overflows(
    browser: Any, folder: MovieFolder, scheme: str, viewport: dict[str, int] | None
) -> None:
    size = {"viewport": viewport} if viewport else {}
    opened = Page(browser, folder.report, "#frame=15", color_scheme=scheme, **size)
    opened.wait_for_selector("#together-table td[data-pair]")
    for summary in opened.locator("summary").all():
        summary.click()
    opened.wait_for_selector(".appearances h4")
    assert opened.evaluate(CONTRAST) == [] and opened.evaluate(NAMELESS) == []
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    landmarks = ["header", "nav[aria-label]", "main", "footer", "form[role=search]", "[role=status]"]
    assert [name for name in landmarks if not opened.locator(name).count()] == []
    assert opened.locator("h1").count() == 1 and opened.troubles == []
    opened.close()


def test_hostile_names_are_shown_and_do_nothing(browser: Any, tmp_path: Path) -> None:
    shown = [Shown(i, 10 * i, 10 * i + 10) for i in range(len(HOSTILE))]
    names = {i: {f"nm{i}": 0.9} for i in range(len(HOSTILE))}
    folder = movie_folder(tmp_path, shown, names, cast={f"nm{i}": text for i, text in enumerate(HOSTILE)})
    actors = tmp_path / "actor_db"
    actors.mkdir()
    with (actors / "actors.csv").open("w", newline="") as file:
        row = [
            7,
            HOSTILE[0],
            "1999",
            "nm0",
            HOSTILE[0],
            "Role",
            "",
            "",
            "https://d-nb.info/gnd/1?a=b urn:x:y",
        ]
        csv.writer(file).writerows([[*ACTOR_COLUMNS, "uri"], row])
    assert report.main(["--path", str(folder.path), "--actor-db", str(actors)]) == 0
    for viewport in ({"width": 1280, "height": 900}, PHONE):
        opened = Page(browser, folder.report, "#frame=5", viewport=viewport)
        assert opened.texts("h1") == [HOSTILE[0]]
        titles = opened.evaluate("[...document.querySelectorAll('.card h3 bdi')].map((e) => e.textContent)")
        assert sorted(titles) == sorted(" ".join(text.split()) for text in HOSTILE)
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
        opened.evaluate("location.hash = '#person=nm0'")
        opened.locator(".card.chosen summary").click()
        link = opened.wait_for_selector(".card.chosen .appearances a[target]")
        assert link.get_attribute("href") == "https://d-nb.info/gnd/1?a=b"
        assert "Identifiers: d-nb.info/gnd/1?a=b, urn:x:y" in opened.texts(".card.chosen .appearances")[0]
        opened.hover("#timeline-canvas")
        opened.evaluate("location.hash = '#person=%'")
        assert opened.troubles == [] and opened.locator("img[src=x]").count() == 0
        opened.close()


def test_a_standalone_page_works_alone_and_the_policy_stops_everything_else(
    browser: Any, folder: MovieFolder, tmp_path: Path
) -> None:
    alone = tmp_path / "mailed.html"
    alone.write_bytes(report_page(open_movie(folder.path), folder.standalone_report, standalone=True))
    opened = Page(browser, alone)
    opened.wait_until("[...document.querySelectorAll('.faces img')].every((i) => i.naturalWidth === 40)")
    assert opened.troubles == [] and {url.partition(":")[0] for url in opened.requests} <= {"file", "data"}
    assert [url for url in opened.requests if url.startswith("file:")] == [alone.as_uri()]
    blocked = opened.evaluate(
        """async () => {
          const seen = [];
          document.addEventListener('securitypolicyviolation', (event) => seen.push(event.violatedDirective));
          const script = document.createElement('script');
          script.textContent = 'window.ran = true';
          document.body.append(script);
          document.body.insertAdjacentHTML('beforeend', '<img src="https://example.invalid/a.png">');
          await fetch('https://example.invalid/').catch(() => 0);
          await new Promise((done) => setTimeout(done, 100));
          return [window.ran, ...seen.map((name) => name.replace('-elem', '')).sort()];
        }"""
    )
    assert blocked == [None, "connect-src", "img-src", "script-src"]
    opened.close()


def test_on_paper_the_people_are_printed_without_controls_and_without_darkness(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    pen = "document.getElementById('timeline-canvas').getContext('2d')"
    darkest = f"Math.min(...{pen}.getImageData(20, 5, 1, 1).data)"
    page.wait_until(f"{darkest} < 60")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(darkest) > 240  # the timeline too
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_until(f"{darkest} < 60")
    page.emulate_media(media="print")
    assert page.locator(".card").first.is_visible() and page.locator("#quality").is_visible()
    assert not any(page.locator(name).first.is_visible() for name in (".bar", ".tools", "#overview"))
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert len(page.pdf()) > 10_000


def test_thousands_of_people_are_filled_when_they_are_seen(browser: Any, tmp_path: Path) -> None:
    shown = [Shown(i, i, i + 5, x=i % 100) for i in range(300)]
    folder = movie_folder(tmp_path, shown, frames=310)
    folder.report.write_bytes(report_page(open_movie(folder.path), folder.report))
    opened = Page(browser, folder.report)
    assert opened.locator(".card").count() == 24
    # by the keyboard: a slow machine fills cards while a mouse is on its way, which moves the button
    opened.press("text=Show all 300", "Enter")
    assert opened.locator(".card").count() == 300 and opened.locator(".card dl").count() < 60
    opened.evaluate("document.getElementById('timeline').scrollTop = 5000")
    opened.hover("#timeline-canvas", position={"x": 600, "y": 100})
    row = opened.evaluate("facerec.people[facerec.timeline.rows()[Math.floor(5074 / 26)]].name")
    assert opened.texts("#timeline-tip")[0].startswith(f"{row} · ")
    tip, canvas = (opened.locator(name).bounding_box() for name in ("#timeline-tip", "#timeline-canvas"))
    assert 0 < tip["y"] - canvas["y"] < canvas["height"]
    opened.locator(".card").last.scroll_into_view_if_needed()
    opened.wait_until("document.querySelector('.card:last-child dl') !== null")
    opened.wait_until("document.querySelector('.card:first-child dl') === null")  # emptied far away
    opened.close()


def test_the_index_searches_people_across_films(browser: Any, tmp_path: Path) -> None:
    folders = [movie_folder(tmp_path, SHOWN, NAMES, cast=CAST, movie_id=movie) for movie in (7, 8)]
    assert report.main(["--path", *(str(made.path) for made in folders)]) == 0
    opened = Page(browser, tmp_path / "index.html", viewport=PHONE)
    assert opened.texts("#list h3") == ["Ada Lovelace"] and opened.texts("#count") == ["1 person"]
    assert opened.evaluate(CONTRAST) == [] and opened.evaluate(NAMELESS) == []
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    opened.fill("#search", "zelda")
    assert opened.texts("#list h3") == []
    opened.fill("#search", "ada")
    opened.locator("#list a").nth(1).click()
    opened.wait_for_selector(".card.chosen")
    assert opened.url.endswith("8-data/report.html#person=nm1") and opened.troubles == []
    opened.click("text=All films")
    opened.wait_for_selector("#list a")
    assert opened.url.endswith("index.html")
    opened.close()
