"""The commands of docs/first-film.md alone lead a newcomer from film, cast list and pictures to a report."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from facerec.demo.film import demo_shots, photographs, write_film
from tests.conftest import ROOT

(COMMANDS,) = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "first-film.md").read_text(), re.M | re.S)


def shelf(folder: Path) -> Path:
    """The film, cast list and pictures of the page, as an archive has them."""
    pictures = folder / "pictures"
    (pictures / "Grace Hopper").mkdir(parents=True)
    by_actor = photographs()
    shutil.copyfile(by_actor["grace-hopper"], pictures / "Grace Hopper" / "portrait.jpg")
    shutil.copyfile(by_actor["eileen-collins"], pictures / "Eileen Collins.png")
    write_film(folder / "Two Pioneers (2026).mp4", demo_shots())
    people = ["Grace Hopper;Rear admiral;09.12.1906", "Eileen Collins;Astronaut;19.11.1956"]
    (folder / "cast.csv").write_text("\n".join(["Darsteller;Rolle;geboren", *people]) + "\n")
    return folder


@pytest.mark.slow
def test_six_commands_lead_from_a_shelf_to_a_report(tmp_path: Path) -> None:
    shelf(tmp_path / "shelf")
    (tmp_path / "actor_db").mkdir()
    for table in ("actors.csv", "actor_images.csv", "aspect_ratios.csv"):
        shutil.copyfile(ROOT / "actor_db" / table, tmp_path / "actor_db" / table)
    places = [f"FILMS={tmp_path}/films", f"ACTOR_DB={tmp_path}/actor_db", f"OUT={tmp_path}/data"]
    lines = COMMANDS.strip().splitlines()
    assert len(lines) == 6
    said = {}
    for line in lines:
        there = line.replace("shelf/", f"{tmp_path}/shelf/").replace(
            "--films films", f"--films {tmp_path}/films"
        )
        words = [*shlex.split(there), *places, f"PYTHON={sys.executable}"]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
        target = words[1]
        said[target] = done.stdout + done.stderr
        assert "Traceback" not in said[target]
        assert done.returncode == 0 or target == "doctor", said[target]
    missing = [line for line in said["doctor"].splitlines() if "MISSING" in line]
    assert len(missing) == 2 and "no such folder" in missing[0] and "actors.csv: has no row yet" in missing[1]
    report = tmp_path / "data" / "12345-data" / "report.html"
    assert report.is_file() and report.name in said["review"]
    page = report.read_text(encoding="utf-8")
    assert "Two Pioneers" in page and "Grace Hopper" in page and "Eileen Collins" in page
    assert (tmp_path / "films" / "12345-TwoPioneers.mp4").exists()
    again = subprocess.run(
        ["make", "doctor", "DETECTOR=mtcnn", "EMBEDDER=dlib", *places, f"PYTHON={sys.executable}"],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert again.returncode == 0 and "nothing is missing" in again.stdout, again.stdout
