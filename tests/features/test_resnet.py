"""ResNet-152 and Places365's ResNet-50: published checkpoints, torchvision's forward pass, row counts."""

from __future__ import annotations

import io
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import nn
from torchvision.models import resnet50, resnet152
from torchvision.transforms import v2

from facerec.errors import InputError, ModelError
from facerec.features import load_extractor
from facerec.features.base import Clip
from facerec.features.pictures import resize_shorter_side
from facerec.features.resnet import Place, ResNet152
from facerec.models.weights import CATALOGUE
from tests.features.random_weights import random_state

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def clip(seconds: float, rate: float = 25) -> Clip:
    count = max(round(seconds * rate), 1)
    return Clip(np.arange(count) / rate, count / rate, 320, 180)


def picture(seed: int, height: int = 180, width: int = 320) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def torchvision_features(network: nn.Module, state, images: torch.Tensor) -> np.ndarray:
    network.load_state_dict(state)
    network.fc = nn.Identity()
    network.eval()
    with torch.inference_mode():
        return network(images).numpy()


@pytest.fixture(scope="module")
def places() -> dict[str, torch.Tensor]:
    """The tensors of a ResNet-50 for 365 classes, from before batch normalisations counted batches."""
    state = random_state(resnet50(num_classes=365))
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


@pytest.fixture(scope="module")
def checkpoint(places, tmp_path_factory) -> Path:
    """A file as Places365's authors publish it: a training's checkpoint of a DataParallel network."""
    path = tmp_path_factory.mktemp("weights") / CATALOGUE["place"].files[0]
    wrapped = {f"module.{key}": value for key, value in places.items()}
    training = {"epoch": 90, "arch": "resnet50", "state_dict": wrapped, "best_prec1": 54.7}
    torch.save(training, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="module")
def place(checkpoint) -> Place:
    return load_extractor(f"place:{checkpoint}", device="cpu")


@pytest.mark.parametrize(
    ("seconds", "rate", "rows"),
    [
        (0.4, 25, 1),
        (10, 25, 10),
        (10.6, 25, 11),
        (61, 25, 61),
        (61, 24000 / 1001, 61),
        (0.5, 30, 1),
        (1, 1, 1),
    ],
)
def test_resnet152_has_a_row_for_each_second(seconds, rate, rows):
    windows = [*ResNet152.windows(ResNet152.__new__(ResNet152), clip(seconds, rate))]
    assert len(windows) == rows
    assert all(window.frames[0] < max(round(seconds * rate), 1) for window in windows)


def test_frames_at_one_a_second_are_those_of_ffmpeg_s_filter():
    """Frame k is the last one that is shown before k seconds and a half."""
    windows = ResNet152.windows(ResNet152.__new__(ResNet152), clip(4))
    assert [window.frames for window in windows] == [(12,), (37,), (62,), (87,)]


def test_clip_too_short_for_a_row_gives_its_middle_frame():
    (window,) = ResNet152.windows(ResNet152.__new__(ResNet152), clip(0.4))
    assert window.frames == (5,) and window.padded


@pytest.mark.parametrize(("count", "frames"), [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (100, [0, 49, 99])])
def test_place_has_the_first_the_middle_and_the_last_frame(count, frames):
    windows = Place.windows(Place.__new__(Place), Clip(np.arange(count) / 25, count / 25, 320, 180))
    assert [window.frames[0] for window in windows] == frames


def test_place_equals_torchvision_s_network_on_torchvision_s_preprocessing(place, places):
    pictures = [picture(1), picture(2, 240, 200)]
    transform = v2.Compose([
        v2.ToImage(), v2.Resize((256, 256)), v2.CenterCrop(224),
        v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD),
    ])  # fmt: skip
    pillow = [v2.functional.to_pil_image(one) for one in pictures]
    images = torch.stack([transform(one) for one in pillow])
    expected = torchvision_features(
        resnet50(num_classes=365), {**resnet50(num_classes=365).state_dict(), **places}, images
    )
    found = place.extract(*pictures)
    assert found.dtype == np.float32 and found.shape == (2, 2048)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()  # resizing of tensors rounds else
    prepared = torch.from_numpy(np.stack([place.prepare(one) for one in pictures]))
    exact = v2.functional.normalize(prepared.permute(0, 3, 1, 2) / 255, MEAN, STD)
    expected = torchvision_features(
        resnet50(num_classes=365), {**resnet50(num_classes=365).state_dict(), **places}, exact
    )
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_checkpoint_written_by_python_2_can_be_read(place, checkpoint, tmp_path):
    """Places365's authors used PyTorch 0.2 with Python 2, whose pickles have byte strings."""
    old = tmp_path / "python2.pth.tar"
    old.write_bytes(as_python_2_wrote(checkpoint.read_bytes()))
    assert old.read_bytes() != checkpoint.read_bytes()
    found = load_extractor(f"place:{old}", device="cpu").extract(picture(1))
    assert found.tolist() == place.extract(picture(1)).tolist()


def as_python_2_wrote(data: bytes) -> bytes:
    """Replace the Unicode strings in the pickles of a file in PyTorch's old format by byte strings."""
    stream, written = io.BytesIO(data), io.BytesIO()
    for _ in range(5):  # magic number, version, system, checkpoint, names of the storages
        starts = [*pickletools.genops(stream)]
        ends = [position for _, _, position in starts[1:]] + [stream.tell()]
        for (opcode, argument, position), end in zip(starts, ends, strict=True):
            text = argument.encode() if opcode.name == "BINUNICODE" else None
            written.write(data[position:end] if text is None else b"U" + bytes([len(text)]) + text)
    written.write(stream.read())
    return written.getvalue()


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_features_do_not_depend_on_the_batch(place, checkpoint, batch_size):
    pictures = [picture(seed) for seed in range(5)]
    alone = np.concatenate([place.extract(one) for one in pictures])
    other = load_extractor(f"place:{checkpoint}", device="cpu", batch_size=batch_size)
    found = other.extract(*pictures)
    assert np.abs(found - alone).max() <= 1e-5 * np.abs(alone).max()


@pytest.mark.parametrize(("height", "width"), [(1080, 1920), (720, 404), (256, 455), (300, 300)])
def test_cropped_frames_are_those_of_torchvision_s_preprocessing(height, width):
    extractor = ResNet152.__new__(ResNet152)
    extractor._crop = True
    one = picture(4, height, width)
    transform = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])
    assert np.array_equal(extractor.prepare(one), np.asarray(transform(Pillow.fromarray(one))))


def test_resnet152_loads_torchvision_s_file_and_equals_its_network(tmp_path):
    state = random_state(resnet152())
    path = tmp_path / CATALOGUE["resnet152"].files[0]
    torch.save(state, path)
    extractor = load_extractor(f"resnet152:{path}", device="cpu")
    one = picture(3, 120, 213)
    prepared = extractor.prepare(one)
    assert prepared.shape == (224, 397, 3)  # 213 / 120 * 224 rounded down
    images = v2.functional.normalize(torch.from_numpy(prepared).permute(2, 0, 1)[None] / 255, MEAN, STD)
    expected = torchvision_features(resnet152(), state, images)
    found = extractor.extract(one)
    assert found.shape == (1, 2048)
    assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()
    cropping = load_extractor(f"resnet152:{path}", device="cpu", crop=True)
    assert cropping.prepare(one).shape == (224, 224, 3)
    assert cropping.settings == {**extractor.settings, "shorter_side": 256, "crop": 224}


@pytest.mark.parametrize(
    "wrong",
    [
        picture(1)[..., 0],
        picture(1) / 255.0,
        np.dstack([picture(1), picture(1)[..., :1]]),
        picture(1)[:0],
        "a.jpg",
        Pillow.fromarray(picture(1)),
    ],
    ids=["gray", "float", "rgba", "empty", "path", "pillow"],
)
def test_what_is_no_rgb_array_is_refused(place, wrong):
    with pytest.raises(InputError, match=r"must be an RGB array \(height, width, 3\) of type uint8, not"):
        place.extract(picture(2), wrong)


def test_no_pictures_are_refused(place):
    with pytest.raises(InputError, match="give at least one picture"):
        place.extract()


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1)])
def test_a_line_of_pixels_is_refused_before_it_takes_gigabytes(shape):
    with pytest.raises(InputError, match="is too elongated; crop it to at most 32:1"):
        resize_shorter_side(picture(1, *shape), 224, Pillow.Resampling.BILINEAR)


def test_upright_pictures_are_resized_by_their_width(place):
    extractor = ResNet152.__new__(ResNet152)
    extractor._crop = False
    prepared = extractor.prepare(picture(4, 400, 300))
    assert prepared.shape == (298, 224, 3)
    assert place.prepare(picture(4, 400, 300)).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("place:nowhere.pth.tar", "nowhere.pth.tar: no such file"),
        ("place", r"make models MODELS=place|fetch_models place"),
        ("resnet152:{checkpoint}", "weights of another network than ResNet"),
        ("nothing", "unknown feature 'nothing'; valid names are resnet152, place"),
    ],
)
def test_missing_and_wrong_weights_give_one_line(checkpoint, tmp_path, monkeypatch, spec, message):
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    with pytest.raises(ModelError, match=message) as raised:
        load_extractor(spec.format(checkpoint=checkpoint), device="cpu")
    assert "\n" not in str(raised.value)


def test_option_that_a_feature_does_not_have_is_refused(checkpoint):
    with pytest.raises(ModelError, match=r"place has no option step; these have it: .*slowfast_r50"):
        load_extractor(f"place:{checkpoint}", device="cpu", step=3)
