"""The 3D ResNeXt-101: the authors' checkpoint, the forward pass, and the windows of the original tool."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from torch import nn
from torch.nn import functional as F

from facerec.errors import ModelError
from facerec.features.base import Clip, Options
from facerec.features.pictures import resize_shorter_side
from facerec.features.resnext101_3d import ResNeXt3D, ResNeXt101
from facerec.models.base import ModelCard
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles
from tests.features.random_weights import random_state

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """The tensors of the published network, its classifier included."""
    with torch.device("meta"):
        network = ResNeXt3D()
        network.fc = nn.Linear(2048, 400)
    return random_state(network)


@pytest.fixture(scope="module")
def extractor(state: State, tmp_path_factory: pytest.TempPathFactory) -> ResNeXt101:
    path = tmp_path_factory.mktemp("weights") / "resnext101.pth"
    torch.save(state, path)
    return load(path)


def load(path: Path, batch_size: int | None = None) -> ResNeXt101:
    files = [WeightFiles((path,), ModelCard("resnext101_3d", path.name, "", ""))]
    return ResNeXt101(files, Placement(batch_size=batch_size), Options())


def clip(seconds: float, rate: float = 25) -> Clip:
    count = max(round(seconds * rate), 1)
    return Clip(np.arange(count) / rate, count / rate, 320, 180)


def picture(seed: int, height: int = 180, width: int = 320) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def reference(state: State, x: torch.Tensor) -> torch.Tensor:
    """Compute the network's features from the checkpoint alone, as the paper's table 1 describes them."""

    def conv(x: torch.Tensor, name: str, norm: str, stride: int | tuple[int, ...] = 1, groups: int = 1):
        weight = state[f"{name}.weight"]
        x = F.conv3d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
        parts = [state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *parts)

    x = F.max_pool3d(F.relu(conv(x, "conv1", "bn1", (1, 2, 2))), 3, 2, 1)
    for layer, depth in enumerate((3, 4, 23, 3), 1):
        for block in range(depth):
            place = f"layer{layer}.{block}."
            stride = 2 if layer > 1 and block == 0 else 1
            y = F.relu(conv(x, place + "conv1", place + "bn1"))
            y = F.relu(conv(y, place + "conv2", place + "bn2", stride, 32))
            y = conv(y, place + "conv3", place + "bn3")
            if block == 0:
                x = conv(x, place + "downsample.0", place + "downsample.1", stride)
            x = F.relu(x + y)
    assert x.shape[1:] == (2048, 1, 4, 4)
    return x.flatten(2).mean(2)


def test_the_network_has_the_published_names_and_shapes(state: State):
    assert sum(value.numel() for name, value in state.items() if is_parameter(name)) == 48_340_816
    for name, shape in {
        "conv1.weight": (64, 3, 7, 7, 7),
        "bn1.running_var": (64,),
        "layer1.0.downsample.0.weight": (256, 64, 1, 1, 1),
        "layer1.2.conv2.weight": (128, 4, 3, 3, 3),
        "layer2.0.downsample.1.running_mean": (512,),
        "layer3.22.conv1.weight": (512, 1024, 1, 1, 1),
        "layer4.2.conv3.weight": (2048, 1024, 1, 1, 1),
        "layer4.2.bn3.bias": (2048,),
        "fc.weight": (400, 2048),
    }.items():
        assert state[name].shape == shape
    assert "layer1.1.downsample.0.weight" not in state and "layer3.23.conv1.weight" not in state


def is_parameter(name: str) -> bool:
    return name.endswith((".weight", ".bias"))


def test_features_equal_a_reference_forward_pass(extractor: ResNeXt101, state: State):
    window = [extractor.prepare(picture(k)) for k in range(16)]
    (row,) = extractor.forward([window])
    pixels = torch.from_numpy(np.stack(window)).float() - torch.tensor([110.6, 103.2, 96.3])
    expected = reference(state, pixels.permute(3, 0, 1, 2)[None])[0].numpy()
    assert row["features"].shape == (2048,) and row["features"].dtype == np.float32
    np.testing.assert_allclose(row["features"], expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_windows_do_not_depend_on_their_batch(extractor: ResNeXt101, state: State, tmp_path: Path):
    torch.save(state, tmp_path / "resnext101.pth")
    windows = [[extractor.prepare(picture(16 * k + j)) for j in range(16)] for k in range(3)]
    alone = [extractor.forward([window])[0]["features"] for window in windows]
    together = load(tmp_path / "resnext101.pth", batch_size=2).forward(windows)
    for row, expected in zip(together, alone, strict=True):
        np.testing.assert_allclose(row["features"], expected, rtol=1e-5, atol=1e-5 * expected.max())


@pytest.mark.parametrize("wrapped", ["as an old state dict", "with module.", "of a training"])
def test_published_forms_of_the_checkpoint(extractor: ResNeXt101, state: State, tmp_path: Path, wrapped: str):
    path, content = tmp_path / "weights.pth", dict(state)
    if wrapped == "as an old state dict":
        content = {key: value for key, value in content.items() if not key.endswith("num_batches_tracked")}
    else:
        content = {f"module.{key}": value for key, value in content.items()}
    if wrapped == "of a training":
        content = {"epoch": 150, "arch": "resnext-101", "state_dict": content, "optimizer": {"lr": 0.1}}
    torch.save(content, path, _use_new_zipfile_serialization=wrapped != "as an old state dict")
    window = [extractor.prepare(picture(k)) for k in range(16)]
    np.testing.assert_array_equal(
        load(path).forward([window])[0]["features"], extractor.forward([window])[0]["features"]
    )


def test_weights_of_another_network_are_a_one_line_error(tmp_path: Path):
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.pth")
    with pytest.raises(ModelError, match=r"resnet\.pth: weights of another network than ResNeXt3D") as error:
        load(tmp_path / "resnet.pth")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("seconds", "rows"), [(0.04, 1), (1, 2), (10, 15), (10.4, 16), (61, 92)])
def test_a_clip_has_the_original_tools_number_of_windows(extractor: ResNeXt101, seconds: float, rows: int):
    found = list(extractor.windows(clip(seconds)))
    assert len(found) == rows
    assert all(len(window.frames) == 16 for window in found)
    last = found[-1]
    assert last.padded == (round(24 * seconds) % 16 != 0)
    assert max(last.frames) <= len(clip(seconds)) - 1


def test_padding_repeats_the_last_frame(extractor: ResNeXt101):
    first, second = extractor.windows(clip(1, 24))
    assert first.frames == tuple(range(16)) and not first.padded
    assert second.frames == (*range(16, 24), *[23] * 8) and second.padded


def test_a_clip_without_a_sample_gives_its_middle_frame(extractor: ResNeXt101):
    (window,) = extractor.windows(Clip(np.arange(3) / 1000, 0.003, 320, 180))
    assert window.frames == (1,) * 16 and window.padded


def _centre(image: np.ndarray) -> np.ndarray:
    y, x = ((length - 112) // 2 for length in image.shape[:2])
    return image[y : y + 112, x : x + 112]


def test_fast_shrinking_changes_little(extractor: ResNeXt101, shared: Path):
    with av.open(str(shared / "data" / "clips" / "10003-StreetCrowd.mp4")) as film:
        frame = next(film.decode(video=0)).to_ndarray(format="rgb24")
    height, width = frame.shape[:2]
    exact = Pillow.fromarray(frame).resize((width * 112 // height, 112), Pillow.Resampling.BICUBIC)
    difference = np.abs(extractor.prepare(frame).astype(int) - _centre(np.asarray(exact)))
    assert height >= 1080 and difference.mean() < 0.6


@pytest.mark.parametrize(("height", "width"), [(180, 320), (320, 180), (112, 112), (60, 400), (112, 113)])
def test_only_what_stays_is_resized(extractor: ResNeXt101, height: int, width: int):
    frame = cv2.GaussianBlur(picture(0, height, width), (0, 0), 4)
    expected = _centre(resize_shorter_side(frame, 112, Pillow.Resampling.BICUBIC))
    assert np.abs(extractor.prepare(frame).astype(int) - expected).max() <= 2


@pytest.mark.parametrize(("height", "width"), [(180, 320), (320, 180), (112, 112), (60, 400)])
def test_frames_are_cropped_to_their_middle(extractor: ResNeXt101, height: int, width: int):
    assert extractor.prepare(picture(0, height, width)).shape == (112, 112, 3)
