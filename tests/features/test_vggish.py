"""VGGish against an independent forward pass, its input against the published formulas."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from facerec.errors import ModelError, NonFiniteError
from facerec.features import load_extractor
from facerec.features.spectra import examples, log_mel
from facerec.features.vggish import VGGishNetwork
from tests.sounds import noise, write_sound

Array = NDArray[np.float32]
SHAPES = {  # of the tensors in vggish-10086976.pth
    "features.0": (64, 1, 3, 3),
    "features.3": (128, 64, 3, 3),
    "features.6": (256, 128, 3, 3),
    "features.8": (256, 256, 3, 3),
    "features.11": (512, 256, 3, 3),
    "features.13": (512, 512, 3, 3),
    "embeddings.0": (4096, 12288),
    "embeddings.2": (4096, 4096),
    "embeddings.4": (128, 4096),
}


def random_state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    state = {}
    for name, shape in SHAPES.items():
        scale = math.sqrt(2 / math.prod(shape[1:]))
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * scale
        state[f"{name}.bias"] = torch.randn(shape[0], generator=generator) * 0.1
    return state


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vggish") / "vggish-10086976.pth"
    torch.save(random_state(), path)
    return path


@pytest.fixture(scope="module")
def extractor(weights: Path) -> Any:
    return load_extractor(f"vggish:{weights}", device="cpu")


def mel_by_formula(samples: Array) -> NDArray[np.float64]:
    """Compute a log-mel spectrum number by number, as the published code defines it."""

    def mel(hertz: float) -> float:
        return 1127.0 * math.log(1.0 + hertz / 700.0)

    edges = [mel(125) + (mel(7500) - mel(125)) * k / 65 for k in range(66)]
    bank = np.zeros((257, 64))
    for frequency in range(1, 257):
        at = mel(frequency * 8000 / 256)
        for band in range(64):
            low, centre, high = edges[band : band + 3]
            bank[frequency, band] = max(0.0, min((at - low) / (centre - low), (high - at) / (high - centre)))
    window = np.array([0.5 - 0.5 * math.cos(2 * math.pi * k / 400) for k in range(400)])
    transform = np.exp(-2j * np.pi * np.outer(np.arange(400), np.arange(257)) / 512)
    frames = [samples[beg : beg + 400] * window for beg in range(0, len(samples) - 399, 160)]
    return np.log(np.abs(np.array(frames) @ transform) @ bank + 0.01)


def forward_by_formula(spectra: NDArray[np.float64]) -> list[Array]:
    """Compute all layers of examples (n, 96, 64) with the tensors of `random_state`."""
    state = random_state()
    x = torch.from_numpy(spectra).float()[:, None]
    layers = []
    for block in (("0",), ("3",), ("6", "8"), ("11", "13")):
        for number in block:
            x = F.relu(
                F.conv2d(x, state[f"features.{number}.weight"], state[f"features.{number}.bias"], padding=1)
            )
        x = F.max_pool2d(x, 2, 2)
        layers.append(x.mean(3).mean(2))
    # time first, then frequency, then channel
    x = torch.stack([x[:, :, t, f] for t in range(6) for f in range(4)], dim=1).reshape(len(x), -1)
    for number in ("0", "2", "4"):
        x = F.relu(x @ state[f"embeddings.{number}.weight"].T + state[f"embeddings.{number}.bias"])
    return [layer.numpy() for layer in (*layers, x)]


def test_the_network_has_the_published_size_and_names() -> None:
    with torch.device("meta"):
        network = VGGishNetwork()
    assert sum(parameter.numel() for parameter in network.parameters()) == 72_141_184
    found = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert found == {name: tuple(tensor.shape) for name, tensor in random_state().items()}


@pytest.mark.parametrize(("seconds", "rows"), [(1, 1), (10, 10), (30, 31), (60, 62)])
def test_the_number_of_rows(extractor: Any, seconds: int, rows: int) -> None:
    count = seconds * 16000
    assert examples(count) == (count - 240) // 15360 == rows
    if seconds <= 10:
        assert extractor.extract(noise(seconds, 16000)[0])["features"].shape == (rows, 128)


def test_the_spectrum_is_that_of_the_published_formulas() -> None:
    samples = noise(1.3, 16000)[0]
    assert np.abs(log_mel(samples) - mel_by_formula(samples)).max() < 1e-5


def test_the_features_are_those_of_an_independent_forward_pass(weights: Path) -> None:
    samples = noise(3.2, 16000)[0]
    spectrum = mel_by_formula(samples)
    expected = forward_by_formula(np.stack([spectrum[beg : beg + 96] for beg in (0, 96, 192)]))
    layered = load_extractor(f"vggish:{weights}", device="cpu", layers=(0, 1, 2, 3, 4)).extract(samples)
    assert [layered[f"layer_{k}"].shape for k in range(5)] == [(3, n) for n in (64, 128, 256, 512, 128)]
    for k in range(5):
        scale = np.abs(expected[k]).max()
        assert scale > 0.01
        assert np.abs(layered[f"layer_{k}"] - expected[k]).max() < 1e-5 * scale
    plain = load_extractor(f"vggish:{weights}", device="cpu").extract(samples)
    assert np.array_equal(plain["features"], layered["layer_4"])


def test_the_reduced_form_is_the_mean_of_the_examples(weights: Path) -> None:
    samples = noise(21, 16000)[0]
    options: dict[str, Any] = {"device": "cpu", "layers": (1, 4)}
    rows = load_extractor(f"vggish:{weights}", **options).extract(samples)
    means = load_extractor(f"vggish:{weights}", **options, reduce=True).extract(samples)
    assert set(means) == {"layer_1", "layer_4"}
    for name, mean in means.items():
        assert mean.shape == (1, rows[name].shape[1]) and mean.dtype == np.float32
        assert np.abs(mean[0] - rows[name].mean(axis=0)).max() < 1e-5 * np.abs(mean).max()


@pytest.mark.parametrize("batch_size", [1, 3, None])
def test_rows_do_not_depend_on_pieces_and_batches(
    extractor: Any, weights: Path, batch_size: int | None
) -> None:
    samples = noise(6, 16000)[0]
    whole = extractor.extract(samples)["features"]
    other = load_extractor(f"vggish:{weights}", device="cpu", batch_size=batch_size)
    run = other.open(6.0)
    blocks = []
    for beg in range(0, len(samples), 7001):
        blocks += run.push(samples[beg : beg + 7001])
    blocks += run.finish()
    rows = np.concatenate([block["features"] for block in blocks])
    assert rows.shape == whole.shape and not run.padded
    assert np.abs(rows - whole).max() < 1e-5 * np.abs(whole).max()


@pytest.mark.parametrize("count", [1, 8000, 15599])
def test_a_shorter_sound_is_padded_with_silence(extractor: Any, count: int) -> None:
    samples = noise(1, 16000)[0]
    run = extractor.open(count / 16000)
    assert not run.push(samples[:count])
    [block] = run.finish()
    assert run.padded
    padded = np.zeros(15600, np.float32)
    padded[:count] = samples[:count]
    assert np.array_equal(block["features"], extractor.extract(padded)["features"])
    assert block["features"].shape == (1, 128)


def test_a_sound_file_of_another_rate_is_accepted(extractor: Any, tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.wav", noise(2, 44100, channels=2), 44100)
    assert extractor.extract(path)["features"].shape == (2, 128)


def test_the_postprocessing_tensors_of_the_port_are_ignored(tmp_path: Path, extractor: Any) -> None:
    state = {f"module.{key}": value for key, value in random_state().items()}
    state |= {"module.pproc.pca_matrix": torch.zeros(128, 128), "module.pproc.pca_means": torch.zeros(128, 1)}
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    samples = noise(1, 16000)[0]
    found = load_extractor(f"vggish:{tmp_path / 'a.pth'}", device="cpu").extract(samples)
    assert np.array_equal(found["features"], extractor.extract(samples)["features"])


def test_weights_of_another_network_and_unknown_layers_are_refused(tmp_path: Path, weights: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 1, 3, 3)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"a\.pth: weights of another network than VGGish"):
        load_extractor(f"vggish:{tmp_path / 'a.pth'}", device="cpu")
    with pytest.raises(ModelError, match="layers 0 to 4"):
        load_extractor(f"vggish:{weights}", device="cpu", layers=(5,))


def test_infinite_features_are_reported(tmp_path: Path) -> None:
    state = random_state()
    state["embeddings.4.bias"] += 3e38
    state["embeddings.4.weight"] *= 1e38
    torch.save(state, tmp_path / "a.pth")
    extractor = load_extractor(f"vggish:{tmp_path / 'a.pth'}", device="cpu")
    with pytest.raises(NonFiniteError, match="vggish"):
        extractor.extract(noise(1, 16000)[0])
