"""Actions of persons: sequences, pytorchvideo's forward pass with boxes, and averages over tracks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorchvideo.models.slowfast import create_slowfast_with_roi_head
from torch import nn

from facerec.errors import ModelError
from facerec.features import cards_of, load_extractor
from facerec.features.action import Action
from facerec.features.action_run import ActionRun
from facerec.features.action_sequences import needed_frames, samples, sequences
from facerec.features.base import Arrays, Clip, Options
from facerec.features.person_finder import FoundPersons
from facerec.features.person_tracks import DROPPED
from facerec.models.base import ModelCard
from facerec.models.device import Placement
from facerec.models.weights import WeightFiles
from tests.features import slowfast_files
from tests.features.person_files import write_osnet, write_yolox, yolox_output
from tests.features.random_weights import random_state

WRITERS = {
    "SLOWFAST_8x8_R50_DETECTION.pyth": slowfast_files.write_pytorchvideo,
    "SLOWFAST_32x2_R50.pkl": slowfast_files.write_caffe2,
    "checkpoint.pyth": slowfast_files.write_pyslowfast,
}


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [(0, 1)]),
        (10, [(0, 10)]),
        (64, [(0, 64)]),
        (128, [(0, 64), (63, 127)]),
        (129, [(0, 64), (33, 97), (64, 128)]),
        (200, [(0, 64), (46, 110), (92, 156), (135, 199)]),
    ],
)
def test_sequences_are_those_of_movienet_tools(count: int, expected: list[tuple[int, int]]):
    assert list(sequences(count)) == expected


def test_every_second_frame_around_the_centre_is_taken():
    assert samples(0, 64) == tuple(range(0, 64, 2))
    assert samples(63, 127) == tuple(range(63, 127, 2))


def test_a_short_sequence_repeats_its_outermost_frames():
    assert samples(0, 10) == (*[1] * 15, 3, 5, 7, *[9] * 14)
    assert samples(0, 1) == (0,) * 32
    assert samples(0, 2) == (*[0] * 16, *[1] * 16)


@pytest.mark.parametrize("count", [1, 2, 63, 65, 129, 1000])
def test_needed_frames_are_those_of_all_sequences_in_order(count: int):
    expected = sorted({frame for beg, end in sequences(count) for frame in samples(beg, end)})
    assert list(needed_frames(count)) == expected
    assert expected[-1] < count


@pytest.fixture(scope="module")
def library() -> nn.Module:
    """The network of pytorchvideo's model zoo with random weights."""
    with torch.device("meta"):
        network = create_slowfast_with_roi_head()
    network.load_state_dict(random_state(network), assign=True)
    return network.eval()


@pytest.fixture(scope="module")
def published(library: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "SLOWFAST_8x8_R50_DETECTION.pyth"
    slowfast_files.write_pytorchvideo(library.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def extractor(published: Path) -> Action:
    return load(published)


def load(path: Path, **options: Any) -> Action:
    files = [WeightFiles((path,), ModelCard("action", path.name, "", ""))]
    return Action(files, Placement(), Options(**options))


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)


def test_the_network_has_the_published_size(library: nn.Module):
    assert slowfast_files.parameters(library) == 33_828_888
    assert library.state_dict()["detection_head.proj.weight"].shape == (80, 2304)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames with a shorter side of 64 pixels instead of 256: sixteen times as fast."""
    monkeypatch.setattr("facerec.features.action.SIZE", 64)


def test_frames_have_a_shorter_side_of_256_pixels(extractor: Action):
    assert extractor.prepare(picture(0)).shape == (256, 384, 3)


@torch.inference_mode()
def test_extract_equals_pytorchvideos_forward_pass(small: None, library: nn.Module, extractor: Action):
    frames = [picture(k) for k in range(64)]
    boxes = np.array([[0, 0, 1, 1], [0.25, 0.1, 0.75, 0.9], [0.5, 0.5, 0.6, 0.7]])
    found = extractor.extract(frames, boxes)

    prepared = np.stack([extractor.prepare(frame) for frame in frames[::2]])
    assert prepared.shape == (32, 64, 96, 3)
    pixels = torch.from_numpy(prepared).permute(3, 0, 1, 2).float()[None] / 255
    fast = (pixels - 0.45) / 0.225
    slow = torch.index_select(fast, 2, torch.linspace(0, 31, 8).long())
    rois = torch.from_numpy(np.column_stack([np.zeros(3), boxes * [96, 64, 96, 64]])).float()
    inputs: list[torch.Tensor] = []
    hook = library.detection_head.proj.register_forward_hook(lambda _layer, given, _out: inputs.extend(given))
    scores = library([slow, fast], rois).numpy()
    hook.remove()

    features = inputs[0].reshape(3, 2304).numpy()
    assert found["features"].dtype == found["scores"].dtype == np.float32
    np.testing.assert_allclose(found["features"], features, rtol=1e-4, atol=1e-5 * features.max())
    np.testing.assert_allclose(found["scores"], scores, rtol=1e-4, atol=1e-5)
    assert len({row.tobytes() for row in features}) == 3


def test_boxes_belong_to_their_window_in_any_batch(small: None, extractor: Action, published: Path):
    windows = []
    for k, boxes in enumerate(([[0, 0, 0.5, 1]], [[0, 0, 1, 1], [0.5, 0, 1, 1]], [[0, 0, 1, 0.5]])):
        windows.append(([extractor.prepare(picture(k))] * 32, np.array(boxes, np.float32)))
    files = [WeightFiles((published,), ModelCard("action", published.name, "", ""))]
    together = Action(files, Placement(batch_size=3), Options()).forward(windows)
    for window, found in zip(windows, together, strict=True):
        (alone,) = extractor.forward([window])
        assert found["features"].shape == (len(window[1]), 2304)
        largest = alone["features"].max()
        np.testing.assert_allclose(found["features"], alone["features"], rtol=1e-5, atol=1e-5 * largest)
        np.testing.assert_allclose(found["scores"], alone["scores"], rtol=1e-5, atol=1e-5)


def test_reduced_precision_gives_nearly_the_same(small: None, extractor: Action, published: Path):
    files = [WeightFiles((published,), ModelCard("action", published.name, "", ""))]
    reduced = Action(files, Placement(precision="bfloat16"), Options())
    frames, boxes = [picture(k) for k in range(8)], [[0, 0, 0.5, 1], [0.25, 0.1, 0.75, 0.9]]
    for name, values in reduced.extract(frames, boxes).items():
        assert values.dtype == np.float32
        exact = extractor.extract(frames, boxes)[name]
        assert np.corrcoef(values.ravel(), exact.ravel())[0, 1] > 0.99


def test_extract_without_boxes_has_no_rows(extractor: Action):
    found = extractor.extract([picture(0)], [])
    assert found["features"].shape == (0, 2304) and found["scores"].shape == (0, 80)


@pytest.mark.parametrize(
    ("frames", "boxes", "message"),
    [
        (1, [[0, 0, 96, 64]], r"parts of the frame, 0 to 1, not \[0.0, 0.0, 96.0, 64.0\]"),
        (1, [[0.5, 0, 0.5, 1]], "parts of the frame"),
        (1, [[0, 0, 1, float("nan")]], "parts of the frame"),
        (1, [0, 0, 1, 1], r"the shape \(n, 4\), not \(4,\)"),
        (0, [[0, 0, 1, 1]], "at least one frame"),
    ],
)
def test_invalid_input_is_a_clear_error(extractor: Action, frames: int, boxes: Any, message: str):
    with pytest.raises(ModelError, match=message):
        extractor.extract([picture(0)] * frames, boxes)


@pytest.mark.parametrize("name", WRITERS)
def test_every_published_form_can_be_loaded(
    small: None, library: nn.Module, extractor: Action, name: str, tmp_path: Path
):
    WRITERS[name](library.state_dict(), tmp_path / name)
    frames, boxes = [picture(0)], [[0, 0, 0.5, 1]]
    np.testing.assert_array_equal(
        load(tmp_path / name).extract(frames, boxes)["scores"], extractor.extract(frames, boxes)["scores"]
    )


def test_weights_without_the_head_for_boxes_are_refused(library: nn.Module, tmp_path: Path):
    state = {name: value for name, value in library.state_dict().items() if "head" not in name}
    slowfast_files.write_pytorchvideo(state, tmp_path / "kinetics.pyth")
    with pytest.raises(ModelError, match=r"kinetics\.pyth: weights of another network.*detection_head"):
        load(tmp_path / "kinetics.pyth")


def test_without_models_of_persons_a_shot_is_a_clear_error(extractor: Action):
    with pytest.raises(ModelError, match=r"no models to find persons.*make models MODELS='yolox osnet'"):
        extractor.open(Clip(np.zeros(1), 0.04, 96, 64))


@pytest.mark.parametrize(("step", "message"), [(0, "at least 1 frame"), (65, "at most 64 frames")])
def test_invalid_steps_are_refused(published: Path, step: int, message: str):
    with pytest.raises(ModelError, match=f"the step of action must be {message}"):
        load(published, step=step)


class TimesOfFrames:
    """A network whose features are the first frame, the centre and the box of a window; scores count up."""

    batch_size = 2

    def __init__(self) -> None:
        self.batches: list[int] = []

    def prepare(self, picture: np.ndarray) -> np.ndarray:
        pixel = picture[0, 0].astype(np.int64)
        return pixel[:1] + 256 * pixel[1]

    def forward(self, windows: Sequence[tuple[Sequence[np.ndarray], np.ndarray]]) -> list[Arrays]:
        self.batches.append(len(windows))
        found = []
        for frames, boxes in windows:
            assert len(frames) == 32
            features = np.zeros((len(boxes), 2304), np.float32)
            features[:, :2] = frames[0][0], frames[16][0]
            features[:, 2:6] = boxes
            found.append({"features": features, "scores": np.full((len(boxes), 80), 0.5, np.float32)})
        return found


class TwoPersons:
    """One person is in all frames, the second until `leaves`; the third box of frame 32 is nobody.

    As a detector with a batch does, it returns the persons of three frames at once.
    """

    def __init__(self, leaves: int) -> None:
        self.leaves = leaves
        self.waiting: list[int] = []
        self.tracks: list[int] = []

    def push(self, frame: int, picture: np.ndarray) -> list[FoundPersons]:
        self.waiting.append(frame)
        return self.flush() if len(self.waiting) == 3 else []

    def flush(self) -> list[FoundPersons]:
        found = []
        for frame in self.waiting:
            tracks = [1, 0] if frame < self.leaves else [0]
            tracks += [DROPPED] if frame == 32 else []
            self.tracks += tracks
            boxes = np.array([[10 * (track + 1), 0, 90, 60, 0.9] for track in tracks], np.float32)
            found.append(FoundPersons(frame, boxes, np.empty((len(boxes), 0), np.float32), []))
        self.waiting = []
        return found

    def finish(self) -> np.ndarray:
        return np.array(self.tracks, np.int64)


def run(length: int, step: int = 4, leaves: int = 0) -> tuple[Arrays, ActionRun, TimesOfFrames]:
    """Take a shot whose frames hold their own numbers through a run."""
    network = TimesOfFrames()
    work = ActionRun(network, TwoPersons(leaves), step, length)
    for frame in work.frames():
        pixels = np.zeros((60, 100, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = frame % 256, frame // 256
        work.push(frame, pixels)
    (arrays,) = work.finish()
    return arrays, work, network


def test_rows_are_averages_over_the_sequences_of_a_track():
    arrays, work, network = run(129, leaves=60)
    assert arrays["tracks"].tolist() == [0, 1]
    assert arrays["frames"].tolist() == [32, 32]
    np.testing.assert_array_equal(arrays["boxes"][:, 0], [10, 20])
    # sequences begin at frames 0, 33 and 64; the second person is in the middle of the first one only
    np.testing.assert_allclose(arrays["features"][:, 0], [(0 + 33 + 64) / 3, 0])
    np.testing.assert_allclose(arrays["features"][:, 1], [(32 + 65 + 96) / 3, 32])
    np.testing.assert_allclose(arrays["features"][0, 2:6], [0.1, 0, 0.9, 1])
    assert arrays["features"].shape == (2, 2304) and arrays["scores"].shape == (2, 80)
    assert arrays["features"].dtype == np.float32 and not work.padded
    assert network.batches == [2, 1]


@pytest.mark.parametrize("length", [1, 2, 3, 10, 65, 400])
@pytest.mark.parametrize("step", [1, 3, 4, 64])
def test_every_sequence_is_computed_whatever_the_step(length: int, step: int):
    arrays, work, network = run(length, step)
    assert sum(network.batches) == len(list(sequences(length)))
    firsts = [samples(beg, end)[0] for beg, end in sequences(length)]
    np.testing.assert_allclose(arrays["features"][:, 0], [np.mean(firsts)], rtol=1e-6)
    assert abs(arrays["frames"][0] - samples(*next(sequences(length)))[16]) <= max(step // 2, length)
    assert work.padded == (length < 64)


def test_a_shot_without_persons_has_no_rows_and_is_not_computed():
    network = TimesOfFrames()
    work = ActionRun(network, Nobody(), 4, 70)
    for frame in work.frames():
        work.push(frame, picture(0))
    (arrays,) = work.finish()
    assert network.batches == []
    assert {name: array.shape for name, array in arrays.items()} == {
        "frames": (0,),
        "boxes": (0, 5),
        "tracks": (0,),
        "features": (0, 2304),
        "scores": (0, 80),
    }


class Nobody(TwoPersons):
    """There is nobody in any frame."""

    def __init__(self) -> None:
        super().__init__(0)

    def flush(self) -> list[FoundPersons]:
        frames, self.waiting = self.waiting, []
        return [FoundPersons(k, np.empty((0, 5), np.float32), np.empty((0, 0)), []) for k in frames]


def test_kept_frames_do_not_grow_with_the_shot():
    network = TimesOfFrames()
    work = ActionRun(network, TwoPersons(0), 4, 3000)
    most = 0
    for frame in work.frames():
        work.push(frame, picture(0))
        most = max(most, len(work._open) + len(work._ready))
    assert most <= 5


def test_shots_are_computed_with_the_persons_of_person(small: None, published: Path, tmp_path: Path):
    detections = yolox_output((5, 0.5, 0.5, 1.0, 1.5, 0.9), (10, 0.5, 0.5, 0.5, 1.0, 0.8))
    yolox, osnet = write_yolox(tmp_path / "yolox.onnx", detections), write_osnet(tmp_path / "osnet.onnx")
    models = f"yolox:{yolox}+osnet:{osnet}"
    clip = Clip(np.arange(70) / 25, 2.8, 96, 64)
    found = {}
    for spec in (f"person:{models}", f"action:{published}+{models}"):
        work = load_extractor(spec, device="cpu").open(clip)
        for frame in work.frames():
            work.push(frame, picture(0))
        (found[spec.partition(":")[0]],) = work.finish()

    persons, actions = found["person"], found["action"]
    assert actions["tracks"].tolist() == [0, 1]
    assert actions["features"].shape == (2, 2304) and actions["scores"].shape == (2, 80)
    for frame, box, number in zip(actions["frames"], actions["boxes"], actions["tracks"], strict=True):
        rows = (persons["frames"] == frame) & (persons["tracks"] == number)
        np.testing.assert_array_equal(persons["boxes"][rows], [box])
    parts = actions["boxes"][:, :4] / [96, 64, 96, 64]
    alone = load(published).extract([picture(0)], parts)  # all frames are equal
    np.testing.assert_allclose(
        actions["features"], alone["features"], rtol=1e-4, atol=1e-5 * alone["features"].max()
    )


def test_the_action_network_can_be_loaded_without_models_of_persons(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FACEREC_WEIGHTS", str(tmp_path))
    assert len(load_extractor(f"action:{published}", device="cpu").cards) == 1
    with pytest.raises(ModelError, match=r"yolox_nano\.onnx: the weights of yolox are missing"):
        cards_of(f"action:{published}")
    with pytest.raises(ModelError, match="the weights of faster_rcnn are missing"):
        load_extractor(f"action:{published}+faster_rcnn+osnet", device="cpu")
    with pytest.raises(ModelError, match="2 weights files given, 3 needed"):
        load_extractor(f"action:{published}+yolox", device="cpu")
