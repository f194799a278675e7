"""The Python examples of the pages on features, and of the README, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import PIL.Image
import pytest
import torch
import torchvision

from facerec.models.weights import CATALOGUE
from tests.conftest import ROOT
from tests.features.random_weights import random_state
from tests.sounds import noise, write_sound


def run_example(page: str) -> dict[str, Any]:
    """Run the Python example with extractors of a page in the working directory; return its variables."""
    text = (ROOT / page).read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (example,) = (example for example in examples if "load_extractor" in example)
    variables: dict[str, Any] = {}
    exec(compile(example, page, "exec"), variables)
    return variables


def test_the_example_of_sound_gives_the_shapes_that_it_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_sound(tmp_path / "sound.wav", noise(5, 16000), 16000)
    variables = run_example("docs/sound.md")
    assert variables["spectrum"].shape == (257, 1 + 80000 // 128)
    assert variables["reduced"].shape == (257, 90)


@pytest.mark.slow
def test_the_example_of_the_readme_gives_the_shapes_that_it_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    place = random_state(torchvision.models.resnet50(num_classes=365))
    torch.save({"state_dict": place}, tmp_path / CATALOGUE["place"].files[0])
    PIL.Image.new("RGB", (320, 180), "red").save("frame.png")
    write_sound(tmp_path / "sound.wav", noise(5, 16000), 16000)
    variables = run_example("README.md")
    assert variables["place"].shape == (1, 2048)
    assert variables["spectrum"].shape == (257, 1 + 80000 // 128)


def test_the_example_of_clip_finds_the_best_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(5)
    torch.save(open_clip.create_model("ViT-S-32-alt").state_dict(), "small.pt")
    Path("small.pt.toml").write_text('architecture = "ViT-S-32-alt"\n')
    np.save("film.npy", np.random.default_rng(1).standard_normal((7, 256), np.float32))
    variables = run_example("docs/clip.md")
    assert variables["cosines"].shape == (7, 2)
    assert np.abs(variables["cosines"]).max() <= 1
    assert variables["best_seconds"].shape == (2,)


def test_the_description_of_weights_in_the_page_is_valid() -> None:
    text = (ROOT / "docs" / "clip.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r'^(\w+) = "([^"]+)"', text, re.M))
    assert stated.keys() == {"architecture", "published_as"}
    assert stated["published_as"] in open_clip.list_pretrained_tags_by_model(stated["architecture"])
