"""`clip` against open_clip itself, with random weights in the formats of published ones; always offline."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from PIL import Image as Pillow
from safetensors.torch import save_file

from facerec.errors import ModelError
from facerec.features import check_weights, load_extractor
from facerec.features.base import Clip
from facerec.features.open_clip_network import choose_preprocessing, load_network
from facerec.features.packed_transformer import pack_vision_transformer
from facerec.models.weights import CATALOGUE
from facerec.support.atomic import temporary_name
from tests.films import picture

ARCHITECTURE = "ViT-S-32-alt"  # a small one of the list
TEXTS = ["two people talk in a café", "a car drives through the rain"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("clip") / "small.pt"
    torch.save(open_clip.create_model(ARCHITECTURE).state_dict(), path)
    return describe(path)


def describe(path: Path, text: str = f'architecture = "{ARCHITECTURE}"\n') -> Path:
    path.with_name(path.name + ".toml").write_text(text)
    return path


@pytest.fixture(scope="module")
def extractor(weights: Path) -> Any:
    return load_extractor(f"clip:{weights}", device="cpu")


def test_pictures_and_texts_get_the_vectors_of_the_library(weights: Path, extractor: Any) -> None:
    network, _, transform = open_clip.create_model_and_transforms(ARCHITECTURE, pretrained=str(weights))
    network.eval()
    pictures = [picture(3, 160, 120), picture(4, 90, 300), picture(5, 641, 481)]
    with torch.inference_mode():
        images = torch.stack([transform(Pillow.fromarray(one)) for one in pictures])
        expected = network.encode_image(images).numpy()
        texts = network.encode_text(open_clip.get_tokenizer(ARCHITECTURE)(TEXTS)).numpy()
    found = extractor.extract(*pictures)
    assert found.shape == (3, 256) and found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 1e-2 * np.abs(expected).max()
    vectors = extractor.embed_texts(TEXTS)
    assert vectors.shape == (2, 256) and vectors.dtype == np.float32
    assert np.abs(vectors - texts).max() < 1e-5 * np.abs(texts).max()


@pytest.mark.parametrize(("seconds", "rows"), [(0.4, 1), (1.0, 1), (10.0, 10), (10.6, 11), (61.0, 61)])
def test_one_frame_is_taken_each_second(extractor: Any, seconds: float, rows: int) -> None:
    clip = Clip(np.arange(round(seconds * 25)) / 25, seconds, 64, 48)
    windows = list(extractor.windows(clip))
    assert len(windows) == rows
    assert windows[0].padded == (seconds < 0.5)
    for k, window in enumerate(windows):
        assert abs(window.time - min(k, seconds / 2 if rows == 1 else k)) <= 0.5


def test_rows_do_not_depend_on_the_batch(weights: Path, extractor: Any) -> None:
    pictures = [picture(k) for k in range(5)]
    whole = extractor.extract(*pictures)
    batched = load_extractor(f"clip:{weights}", device="cpu", batch_size=3).extract(*pictures)
    assert np.array_equal(batched, whole)
    assert np.array_equal(extractor.extract(pictures[2])[0], whole[2])


def small_vision_network(act_layer: Any = torch.nn.GELU, **options: Any) -> Any:
    torch.manual_seed(4)
    visual = VisionTransformer(32, 8, 96, 2, 3, 4.0, output_dim=40, act_layer=act_layer, **options)
    for parameter in visual.parameters():  # so that no part is without effect
        torch.nn.init.normal_(parameter, std=0.2)
    return SimpleNamespace(visual=visual.eval())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"act_layer": QuickGELU},
        {"act_layer": torch.nn.SiLU},
        {"pool_type": "avg"},
        {"final_ln_after_pool": True, "no_ln_pre": True},
        {"ls_init_value": 0.1},
        {"attentional_pool": True, "attn_pooler_heads": 4},
    ],
    ids=lambda options: " ".join(options) or "plain",
)
@torch.inference_mode()
def test_packed_vision_transformers_equal_the_librarys(options: dict[str, Any]) -> None:
    network, pictures = small_vision_network(**options), torch.randn(5, 3, 32, 32)
    expected = network.visual(pictures)
    assert pack_vision_transformer(network)
    found = network.visual(pictures)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if "attentional_pool" not in options:
        assert torch.equal(torch.cat([network.visual(one[None]) for one in pictures]), found)


@pytest.mark.parametrize("options", [{"output_tokens": True}, {"qk_norm": True}], ids=str)
@torch.inference_mode()
def test_other_vision_networks_stay_as_they_are(options: dict[str, Any]) -> None:
    network, pictures = small_vision_network(**options), torch.randn(2, 3, 32, 32)
    expected = network.visual(pictures)
    assert not pack_vision_transformer(network)
    torch.testing.assert_close(network.visual(pictures), expected, atol=0, rtol=0)


def test_other_forms_of_weights_files_are_read(weights: Path, extractor: Any, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "a.pt")
    save_file(state, tmp_path / "b.safetensors")
    expected = extractor.extract(picture(1))
    for name in ("a.pt", "b.safetensors"):
        other = load_extractor(f"clip:{describe(tmp_path / name)}", device="cpu")
        assert np.array_equal(other.extract(picture(1)), expected)


def test_the_settings_name_the_network_and_the_preprocessing(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    path.symlink_to(weights)
    stated = "mean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.25]\nresize = 'squash'\ninterpolation = 'bilinear'\n"
    describe(path, f"architecture = '{ARCHITECTURE}'\n{stated}")
    extractor = load_extractor(f"clip:{path}", device="cpu")
    assert extractor.settings == {
        "rate": 1,
        "architecture": ARCHITECTURE,
        "size": [224, 224],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.25],
        "resize": "squash",
        "interpolation": "bilinear",
        "precision": "float32",
    }
    assert extractor.prepare(picture(1, 300, 120)).shape == (224, 224, 3)


def test_the_preprocessing_of_published_weights_is_taken_from_the_library() -> None:
    network = SimpleNamespace(visual=SimpleNamespace(image_size=(224, 224)))
    siglip = choose_preprocessing({"architecture": "ViT-B-16-SigLIP"}, network)
    assert (siglip.mean, siglip.resize_mode) == ((0.5, 0.5, 0.5), "squash")
    inception = choose_preprocessing(
        {"architecture": "ViT-L-14", "published_as": "laion2b_s32b_b82k"}, network
    )
    assert inception.mean == (0.5, 0.5, 0.5)
    several = choose_preprocessing({"architecture": "ViT-L-14"}, network)
    assert several.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073))
    with pytest.raises(ModelError, match="need architecture = 'ViT-B-32-quickgelu'"):
        choose_preprocessing({"architecture": "ViT-B-32", "published_as": "openai"}, network)
    with pytest.raises(ModelError, match=r"no such weights of ViT-B-32; it has .*laion2b_s34b_b79k"):
        choose_preprocessing({"architecture": "ViT-B-32", "published_as": "mine"}, network)


def test_loading_logs_nothing(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    load_extractor(f"clip:{weights}", device="cpu").embed_texts(["a"])
    assert not caplog.records
    logging.getLogger("facerec").info("heard again")
    assert len(caplog.records) == 1


def test_the_weights_of_the_catalogue_need_no_description(tmp_path: Path) -> None:
    path = tmp_path / temporary_name(CATALOGUE["clip"].files[0])
    path.write_bytes(b"downloaded")
    with pytest.raises(ModelError, match="not weights of ViT-B-32"):
        check_weights("clip", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"small\.pt\.toml: missing; it names the network"),
        ("architecture = ViT", "not TOML"),
        ("", "architecture = None is not one of open_clip's"),
        ('architecture = "ViT-B-33"', r"'ViT-B-33' is not one of open_clip's, such as .*ViT-B-32"),
        ('architecture = "ViT-B-32"\nmodel = 1', "unknown key 'model'; valid keys are architecture"),
        ('architecture = "ViT-B-32"\nmean = [1, 2]', r"mean = \[1, 2\] is not valid"),
        ('architecture = "ViT-B-32"\nstd = [0.1, 0.1, 0]', "std = .* is not valid"),
        ('architecture = "ViT-B-32"\nresize = "longest"', "resize = 'longest' is not valid"),
        ('architecture = "roberta-ViT-B-32"', "needs a text network of Hugging Face's hub"),
        ('architecture = "ViT-B-16"', "not weights of ViT-B-16"),
    ],
)
def test_an_unusable_description_gives_one_line(
    weights: Path, tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "small.pt"
    path.symlink_to(weights)
    if text is not None:
        describe(path, text)
    with pytest.raises(ModelError, match=message) as found:
        load_extractor(f"clip:{path}", device="cpu")
    assert "\n" not in str(found.value)


def test_an_unusable_file_gives_one_line(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"a\.pt: not weights of ViT-S-32-alt"):
        load_network(path, ARCHITECTURE)
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(ModelError, match=r"a\.pt: a TorchScript archive, as OpenAI publishes CLIP"):
        load_network(path, ARCHITECTURE)
    state = torch.load(weights, weights_only=True)
    state["visual.proj"][0, 0] = torch.nan
    torch.save(state, path)
    with pytest.raises(ModelError, match=r"damaged: its tensor 'visual.proj'"):
        load_network(path, ARCHITECTURE)


def test_texts_are_refused_where_the_vocabulary_would_be_downloaded(extractor: Any, weights: Path) -> None:
    other = load_extractor(f"clip:{weights}", device="cpu")
    other._architecture = "ViT-B-16-SigLIP"
    with pytest.raises(ModelError, match="vocabulary of ViT-B-16-SigLIP does not come with open_clip"):
        other.embed_texts(TEXTS)


def test_the_network_is_never_used(weights: Path) -> None:
    program = (
        "import os, socket, sys\n"
        "def refuse(*_, **__):\n"
        "    os.write(2, b'the network was used')\n"
        "    os._exit(3)\n"
        "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
        "import numpy as np\n"
        "from facerec.features import load_extractor\n"
        "extractor = load_extractor('clip:' + sys.argv[1], device='cpu')\n"
        "rows = extractor.extract(np.zeros((48, 64, 3), np.uint8))\n"
        "print(rows.shape, extractor.embed_texts(['a']).shape)\n"
        "import huggingface_hub.constants\n"
        "assert huggingface_hub.constants.HF_HUB_OFFLINE\n"
    )
    command = [sys.executable, "-c", program, str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(1, 256) (1, 256)\n"), done.stderr
