"""Options that follow from the film and the device: one value for all shards, recorded in the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch

from facerec import extract, models
from facerec.errors import InputError, ModelError
from facerec.extraction import choices
from facerec.folder.layout import MovieFolder
from facerec.folder.plan import read_plan
from facerec.settings import face_size
from facerec.support.cli import run_main
from facerec.video.film import display_size_of, open_film
from tests.toy import MOVIE, TOY_MODELS, Story, run_extract, toy_models


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Story(8).make(tmp_path_factory.mktemp("film") / f"{MOVIE}-film.mp4")


@pytest.mark.parametrize(
    ("text", "frame", "pixels"),
    [
        ("20", (640, 360), 20),
        ("2%", (1920, 1080), 22),
        ("2%", (3840, 2160), 43),
        ("1.5%", (1280, 720), 11),
        ("0.01%", (640, 360), 1),
        ("auto", (640, 360), 20),
        ("auto", (1920, 1080), 20),
        ("auto", (1080, 1920), 20),  # upright, as many pixels
        ("auto", (3840, 2160), 40),
        ("auto", (4096, 1716), 32),
    ],
)
def test_a_size_of_faces_in_pixels(text: str, frame: tuple[int, int], pixels: int) -> None:
    assert face_size(text, frame) == pixels


@pytest.mark.parametrize(
    "text", ["0", "-3", "0%", "101%", "2.5", "%", "", "nan%", "inf%", "two", "1e9", "١٢٪"]
)
def test_what_is_no_size_of_faces_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"must be at least 1 pixel, as in 20, or a share of the height"):
        face_size(text, (640, 360))


def planned(film: Path, out: Path) -> dict[str, object]:
    plan = read_plan(MovieFolder.of_film(out, film))
    assert plan is not None
    return dict(plan.settings)


def test_the_plan_has_pixels_and_tasks_with_the_share_or_the_pixels_agree(film: Path, tmp_path: Path) -> None:
    height = open_film(film).display_height
    run_extract(film, tmp_path, 2, "--min-face-size", "10%", shards="0")
    assert planned(film, tmp_path)["min_face_size"] == round(height / 10)
    assert planned(film, tmp_path)["min_box_size"] == max(8, round(height / 10) // 2)
    run_extract(film, tmp_path, 2, "--min-face", str(round(height / 10)), shards="1")


def test_the_first_frame_gives_the_display_size(film: Path, tmp_path: Path) -> None:
    turned = Story(3, film={"rotation": 90}).make(tmp_path / "2-turned.mp4")
    for path in (film, turned):
        opened = open_film(path)
        assert display_size_of(path) == (opened.display_width, opened.display_height)
    text = tmp_path / "3-text.mp4"
    text.write_text("no film")
    with pytest.raises(InputError, match="not a readable film"):
        display_size_of(text)


Reducing = Callable[[str], None]


@pytest.fixture
def reducing(monkeypatch: pytest.MonkeyPatch) -> Reducing:
    """Let the toy models have reduced precision; returns a function that sets what `auto` is here."""
    monkeypatch.setattr(choices, "reduces_precision", lambda *specs: True)

    def here(precision: str) -> None:
        monkeypatch.setattr(choices, "auto_precision", lambda *_: precision)

    return here


def test_a_task_on_another_device_takes_the_precision_of_the_plan(
    film: Path, tmp_path: Path, reducing: Reducing
) -> None:
    loaded: list[str] = []
    with toy_models():
        load = models.load_detector

        def recording(spec: str, **settings: object) -> object:
            loaded.append(str(settings["precision"]))
            return load(spec, **settings)

        words = ["--n", "2", "--out", str(tmp_path), *TOY_MODELS, str(film)]
        with mock.patch.object(models, "load_detector", recording):
            reducing("float16")
            assert extract.main(["--shard", "0", *words]) == 0
            reducing("float32")
            assert extract.main(["--shard", "1", *words]) == 0
        assert loaded == ["float16", "float16"] and planned(film, tmp_path)["precision"] == "float16"
        assert run_main(extract.main, ["--shard", "1", "--precision", "float32", *words]) == 1  # never mixed


def test_a_task_that_loses_the_race_for_the_plan_takes_its_precision(
    film: Path, tmp_path: Path, reducing: Reducing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It chose float32, and another task with a GPU wrote the plan meanwhile."""
    words = ["--n", "2", "--out", str(tmp_path), *TOY_MODELS, str(film)]
    with toy_models():
        reducing("float16")
        assert extract.main(["--shard", "0", *words]) == 0
        reducing("float32")
        seen: list[str] = []
        choose = choices._precision

        def late(requested: str, plan: object, *rest: object) -> str:
            seen.append("" if seen else "float32")
            return seen[-1] or choose(requested, plan, *rest)  # the first time, as if there were no plan

        monkeypatch.setattr(choices, "_precision", late)
        assert extract.main(["--shard", "1", *words]) == 0
    assert len(seen) == 2


@pytest.mark.parametrize("variables", [{}, {"SLURM_JOB_GPUS": "0"}])
def test_a_task_without_the_gpu_that_was_asked_for_fails_before_it_opens_the_film(
    variables: dict[str, str], film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(
        "facerec.video.container.av.open", lambda *_, **__: pytest.fail("the film was opened")
    )
    device = [] if variables else ["--device", "cuda"]
    assert run_main(extract.main, [*device, "--out", str(tmp_path / "out"), str(film)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    expected = "SLURM allocated a GPU" if variables else "device cuda was requested, but torch finds 0 GPUs"
    assert expected in line and "--device" in line
    assert not (tmp_path / "out").exists()


def test_a_cpu_task_of_slurm_without_gpus_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    models.check_device("auto", "retinaface")
    monkeypatch.setenv("SLURM_JOB_GPUS", "0")
    with pytest.raises(ModelError, match="SLURM allocated a GPU to this task"):
        models.check_device("auto", "retinaface")
    models.check_device("cpu", "retinaface")
