"""SlowFast 8x8 R50: the published weights, pytorchvideo's forward pass, the layers and the windows."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorchvideo.models.slowfast import create_slowfast
from torch import nn

from facerec.errors import ModelError
from facerec.feature_runs.file_run import output_name
from facerec.feature_runs.loading import Feature
from facerec.features.base import Clip, Options
from facerec.features.slowfast_network import SlowFast
from facerec.features.slowfast_r50 import SlowFastR50
from facerec.features.slowfast_weights import read_slowfast
from facerec.models.base import ModelCard
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles
from tests.features import slowfast_files
from tests.features.random_weights import random_state

DIMENSIONS = (88, 352, 704, 1408, 2304)
WRITERS = {
    "SLOWFAST_8x8_R50.pyth": slowfast_files.write_pytorchvideo,
    "SLOWFAST_8x8_R50.pkl": slowfast_files.write_caffe2,
    "checkpoint.pyth": slowfast_files.write_pyslowfast,
}


@pytest.fixture(scope="module")
def library() -> nn.Module:
    """The network of pytorchvideo's model zoo with random weights."""
    with torch.device("meta"):
        network = create_slowfast(model_depth=50, slowfast_fusion_conv_kernel_size=(7, 1, 1))
    network.load_state_dict(random_state(network), assign=True)
    return network.eval()


@pytest.fixture(scope="module")
def published(library: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "SLOWFAST_8x8_R50.pyth"
    slowfast_files.write_pytorchvideo(library.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def window() -> list[np.ndarray]:
    return [np.random.default_rng(k).integers(0, 256, (256, 256, 3), np.uint8) for k in range(32)]


def load(path: Path, **options: Any) -> SlowFastR50:
    files = [WeightFiles((path,), ModelCard("slowfast_r50", path.name, "", ""))]
    return SlowFastR50(files, Placement(), Options(**options))


def test_the_network_has_the_published_size(library: nn.Module):
    assert slowfast_files.parameters(library) == 34_566_488
    with torch.device("meta"):
        assert slowfast_files.parameters(SlowFast()) == 34_566_488 - 400 * 2304 - 400


@torch.inference_mode()
def test_the_layers_equal_pytorchvideos_forward_pass(library: nn.Module, published: Path, window):
    extractor = load(published, layers=DIMENSIONS)
    (row,) = extractor.forward([window])

    pixels = torch.from_numpy(np.stack(window)).permute(3, 0, 1, 2).float()[None] / 255
    fast = (pixels - 0.45) / 0.225
    slow = torch.index_select(fast, 2, torch.linspace(0, 31, 8).long())
    outputs = []
    hooks = [
        block.register_forward_hook(lambda _module, _inputs, output: outputs.append([*output]))
        for block in library.blocks[:5]
    ]
    classifier, library.blocks[6].proj = library.blocks[6].proj, nn.Identity()
    features = library([slow, fast])[0].numpy()  # the average that it would classify
    library.blocks[6].proj = classifier
    for hook in hooks:
        hook.remove()

    assert list(row) == [f"layer_{k}" for k in range(5)] == list(extractor.arrays)
    for k, (name, values) in enumerate(row.items()):
        pooled = [
            nn.functional.avg_pool3d(output, (frames, 7, 7), stride=1).mean((2, 3, 4))
            for output, frames in zip(outputs[k], (8, 32), strict=True)
        ]
        expected = torch.cat(pooled, 1)[0].numpy()
        assert values.shape == (DIMENSIONS[k],) and values.dtype == np.float32
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5 * expected.max(), err_msg=name)
    np.testing.assert_allclose(row["layer_4"], features, rtol=1e-4, atol=1e-5 * features.max())


def test_features_are_the_last_layer(published: Path, window):
    default, layer = load(published), load(published, layers=(2304,))
    assert default.arrays == ("features",) and layer.arrays == ("layer_4",)
    np.testing.assert_array_equal(
        default.forward([window])[0]["features"], layer.forward([window])[0]["layer_4"]
    )


@pytest.mark.parametrize(
    ("layers", "arrays"),
    [
        ((0, 4), ("layer_0", "layer_4")),
        ((1408, 88, 88), ("layer_0", "layer_3")),
        ((2, 704), ("layer_2",)),
    ],
)
def test_layers_are_chosen_by_number_or_dimension(published: Path, layers: tuple[int, ...], arrays: tuple):
    extractor = load(published, layers=layers)
    assert extractor.arrays == arrays
    assert extractor.settings["layers"] == [DIMENSIONS[int(name[-1])] for name in arrays]


@pytest.mark.parametrize("name", WRITERS)
def test_every_published_form_gives_the_same_tensors(published: Path, name: str, tmp_path: Path):
    state = read_slowfast(published, "SlowFast", "blocks.6.proj")
    WRITERS[name](state, tmp_path / name)
    found = read_slowfast(tmp_path / name, "SlowFast", "blocks.6.proj")
    counters = {key for key in state if key.endswith("num_batches_tracked")}
    assert found.keys() | counters == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in found.items())
    assert load(tmp_path / name).arrays == ("features",)


@pytest.mark.parametrize(
    ("blob", "name"),
    [
        ("conv1_w", "blocks.0.multipathway_blocks.0.conv.weight"),
        ("t_res_conv1_bn_riv", "blocks.0.multipathway_blocks.1.norm.running_var"),
        ("t_pool1_subsample_w", "blocks.0.multipathway_fusion.conv_fast_to_slow.weight"),
        ("t_pool1_subsample_bn_s", "blocks.0.multipathway_fusion.norm.weight"),
        ("t_res4_5_branch2c_bn_subsample_bn_rm", "blocks.3.multipathway_fusion.norm.running_mean"),
        ("res2_0_branch1_w", "blocks.1.multipathway_blocks.0.res_blocks.0.branch1_conv.weight"),
        ("t_res5_0_branch1_bn_b", "blocks.4.multipathway_blocks.1.res_blocks.0.branch1_norm.bias"),
        ("t_res3_3_branch2b_w", "blocks.2.multipathway_blocks.1.res_blocks.3.branch2.conv_b.weight"),
        ("res4_5_branch2c_bn_s", "blocks.3.multipathway_blocks.0.res_blocks.5.branch2.norm_c.weight"),
        ("pred_b", "blocks.6.proj.bias"),
    ],
)
def test_caffe2_names(blob: str, name: str, tmp_path: Path):
    content = {"blobs": {blob: np.ones(3, np.float32), f"{blob}_momentum": np.ones(3, np.float32)}}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=2))
    assert list(read_slowfast(tmp_path / "x.pkl", "SlowFast", "blocks.6.proj")) == [name]


def test_caffe2_weights_of_another_network_are_a_one_line_error(published: Path, tmp_path: Path):
    state = read_slowfast(published, "SlowFast", "blocks.6.proj")
    del state["blocks.3.multipathway_fusion.norm.bias"]
    slowfast_files.write_caffe2(state, tmp_path / "other.pkl")
    with pytest.raises(ModelError, match=r"other\.pkl: weights of another network than SlowFast") as error:
        load(tmp_path / "other.pkl")
    assert "blocks.3.multipathway_fusion.norm.bias" in str(error.value) and "\n" not in str(error.value)


def test_a_pickle_cannot_run_code(tmp_path: Path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps({"blobs": {"conv1_w": Bomb()}}, protocol=2))
    with pytest.raises(ModelError, match=r"bomb\.pkl: not a PyTorch weights file"):
        load(tmp_path / "bomb.pkl")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x02}q\x00.", b"PK\x03\x04"])
def test_a_file_that_is_not_weights_is_a_one_line_error(content: bytes, tmp_path: Path):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.pkl: ") as error:
        load(tmp_path / "x.pkl")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("step", "rows"), [(None, 40), (1, 40), (16, 3), (100, 1)])
def test_windows_are_centred_on_every_stepth_frame(published: Path, step: int | None, rows: int):
    clip = Clip(np.arange(40) / 25, 1.6, 320, 180)
    windows = list(load(published, step=step).windows(clip))
    assert len(windows) == rows
    assert [window.centre for window in windows] == list(range(0, 40, step or 1))
    assert windows[0].frames == (*[0] * 16, *range(16))
    if rows == 40:
        assert windows[20].frames == tuple(range(4, 36))
        assert windows[39].frames == (*range(23, 40), *[39] * 15)
    assert not any(window.padded for window in windows)


def test_a_longer_window_skips_frames(published: Path):
    *_, window = load(published, step=50, window=64).windows(Clip(np.arange(100) / 25, 4.0, 320, 180))
    assert window.frames == tuple(range(18, 82, 2)) and window.centre == 50 and not window.padded


def test_one_window_can_be_spread_over_the_clip(published: Path):
    extractor = load(published, reduce=True)
    (window,) = extractor.windows(Clip(np.arange(100) / 25, 4.0, 320, 180))
    assert window.frames == tuple(torch.linspace(0, 99, 32).long().tolist()) and not window.padded
    (short,) = extractor.windows(Clip(np.arange(2) / 25, 0.08, 320, 180))
    assert short.frames == (*[0] * 31, 1) and short.padded
    assert output_name(Feature(extractor.name, "windows", extractor, {})).window is None


def test_a_clip_shorter_than_a_window_is_padded(published: Path):
    (window,) = load(published).windows(Clip(np.zeros(1), 0.04, 320, 180))
    assert window.frames == (0,) * 32 and window.padded


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (100,)}, "no layer 100; its layers are 0 to 4, or 88, 352, 704, 1408, 2304"),
        ({"layers": ()}, "no layers of slowfast_r50 are chosen"),
        ({"step": 0}, "must be at least 1 frame, not 0"),
        ({"reduce": True, "step": 4}, "no step or window"),
        ({"window": 48}, "must be a multiple of 32 frames, not 48"),
        ({"window": 0}, "must be a multiple of 32 frames, not 0"),
    ],
)
def test_invalid_options_are_refused(published: Path, options: dict, message: str):
    with pytest.raises(ModelError, match=message):
        load(published, **options)
