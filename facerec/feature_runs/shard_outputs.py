"""The outputs of a tar shard, joined from the files of its clips: `shard-N.npz` and `.jsonl`, or `.pkl`."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
import orjson

from facerec.features.base import FEATURES, PICTURES

# Names of networks and data sets in pickled outputs: those of ACAV100M's tools, and similar ones.
PICKLE_NAMES: Mapping[str, tuple[str, str | None]] = {
    "slowfast_r50": ("SLOWFAST_8x8_R50", "kinetics-400"),
    "vggish": ("VGGish", "YouTube-8M"),
    "resnet152": ("ResNet-152", "ImageNet-1k"),
    "resnext101_3d": ("3D-ResNeXt-101", "kinetics-400"),
    "action": ("SLOWFAST_8x8_R50", "AVA"),
    "place": ("ResNet-50", "Places365"),
    "audio_stft": ("STFT", None),
}


@dataclass(frozen=True)
class ClipOutput:
    """The output of one clip.

    Attributes:
        row: `filename`, `id` and `segment`, then duration, frames, width and height.
        parts: by feature, the NPY or NPZ file of the clip's features.
        entries: by feature, the index entry.
    """

    row: Mapping[str, Any]
    parts: Mapping[str, Path]
    entries: Mapping[str, Mapping[str, Any]]


def write_npz(file: BinaryIO, clips: Sequence[ClipOutput]) -> None:
    """Write all arrays of a shard; the key of an array is `<filename>/<feature>/<array>`."""
    with zipfile.ZipFile(file, "w") as archive:
        for clip in clips:
            for feature, part in clip.parts.items():
                with _members(part) as members:
                    for name, contents in members:
                        # dated 1980: equal features give equal bytes
                        entry = zipfile.ZipInfo(_key(clip, feature, name))
                        with archive.open(entry, "w", force_zip64=True) as member:
                            shutil.copyfileobj(contents, member)


def jsonl_bytes(clips: Sequence[ClipOutput]) -> bytes:
    """Return a line for each clip: its row, and for each feature its arrays or why there are none."""
    lines = [
        orjson.dumps({**clip.row, "features": {name: _facts(clip, name) for name in clip.entries}}) + b"\n"
        for clip in clips
    ]
    return b"".join(lines)


def write_pickle(file: BinaryIO, clips: Sequence[ClipOutput], sound_features: frozenset[str]) -> None:
    """Write a list with a dictionary for each clip that did not fail, as ACAV100M's tools do.

    A feature with a single array has it as `layer_0`; `pictures` is a list of JPEG files, as bytes.
    """
    rows = [
        {
            **{key: clip.row[key] for key in ("filename", "id", "segment")},
            "visual_features": [_pickled(clip, name) for name in clip.parts if name not in sound_features],
            "audio_features": [_pickled(clip, name) for name in clip.parts if name in sound_features],
        }
        for clip in clips
        if clip.parts or all(entry["reason"] is None for entry in clip.entries.values())
    ]
    pickle.dump(rows, file, protocol=4)


def _pickled(clip: ClipOutput, feature: str) -> dict[str, Any]:
    network, dataset = PICKLE_NAMES.get(feature, (feature, None))
    found: dict[str, Any] = {}
    pictures: list[bytes] = []
    with _members(clip.parts[feature]) as members:
        for name, file in members:
            if name.startswith(f"{PICTURES}/"):
                pictures.append(file.read())
            else:
                found[name.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    if pictures:
        found[PICTURES] = pictures
    if found.keys() == {FEATURES}:
        found = {"layer_0": found[FEATURES]}
    return {"extractor_name": network, "dataset": dataset, "feat_array": found}


def _facts(clip: ClipOutput, feature: str) -> dict[str, Any]:
    """Return the fields of a line about a feature."""
    entry = clip.entries[feature]
    if feature not in clip.parts:
        return {key: entry[key] for key in ("note", "reason") if entry.get(key) is not None}
    arrays = {name: {"key": _key(clip, feature, name), **facts} for name, facts in entry["arrays"].items()}
    return {"arrays": arrays, "padded": entry["padded"]}


def _key(clip: ClipOutput, feature: str, array: str) -> str:
    return f"{clip.row['filename']}/{feature}/{array}"


@contextmanager
def _members(part: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Open what is in the file of a clip's feature: names of NPY and JPEG files, and their contents."""
    if part.suffix == ".npy":
        with part.open("rb") as file:
            yield iter([(f"{FEATURES}.npy", file)])
        return
    with zipfile.ZipFile(part) as archive:
        yield ((name, archive.open(name)) for name in archive.namelist())
