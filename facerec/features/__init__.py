"""Feature extractors for films, shots and clips: loading by name.

Works on pictures, sound samples and tensors; does not depend on films, movie folders or lists.

An extractor is given by a *spec*, `NAME` or `NAME:FILE`, where FILE is its weights file; one with several
models takes `NAME:FILE+FILE`, in the order of its `weights`. Where there is a choice of models, a file may
have the model's name in front, or be that name alone: `person:faster_rcnn+osnet:FILE`.

To add an extractor, add a module with a class that satisfies one of the interfaces in `base`, a line in
`EXTRACTORS` and, if its weights are published, an entry in `facerec.models.weights.CATALOGUE`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from facerec.errors import ModelError
from facerec.features.base import Options
from facerec.models.base import ModelCard
from facerec.models.device import choose_placement
from facerec.models.weights import WeightFiles, find_weights


@dataclass(frozen=True)
class Entry:
    """A line of the registry.

    Attributes:
        module, name: module in this package and its class.
        kind: `windows`, `frames` or `sound`: the interface of `base` that the class satisfies.
        weights: names of its models' weights in the catalogue, in the order in which it takes them; where
            there is a choice of models the names of all, the default first.
        optional: number of weights at the end that only its work on clips needs; `extract` does without.
        options: names of the `Options` that it has.
        runs_on_cuda: whether it can use a GPU, and compute in float16 or bfloat16 there.
    """

    module: str
    name: str
    kind: str
    weights: tuple[str | tuple[str, ...], ...] = ()
    optional: int = 0
    options: tuple[str, ...] = ()
    runs_on_cuda: bool = True


_PERSON_WEIGHTS = (("yolox", "faster_rcnn"), ("osnet", "reid_resnet50"))

EXTRACTORS: Mapping[str, Entry] = {
    "resnet152": Entry("resnet", "ResNet152", "windows", weights=("resnet152",), options=("crop",)),
    "place": Entry("resnet", "Place", "windows", weights=("place",)),
    "resnext101_3d": Entry("resnext101_3d", "ResNeXt101", "windows", weights=("resnext101_3d",)),
    "slowfast_r50": Entry(
        "slowfast_r50",
        "SlowFastR50",
        "windows",
        weights=("slowfast_r50",),
        options=("layers", "step", "window", "reduce"),
    ),
    "audio_stft": Entry("audio_stft", "AudioSTFT", "sound", options=("reduce",), runs_on_cuda=False),
    "vggish": Entry("vggish", "VGGish", "sound", weights=("vggish",), options=("layers", "reduce")),
    "clip": Entry("image_text", "ImageTextEmbedder", "windows", weights=("clip",)),
    "person": Entry(
        "person",
        "Person",
        "frames",
        weights=_PERSON_WEIGHTS,
        options=("step", "threshold"),
    ),
    "action": Entry(
        "action",
        "Action",
        "frames",
        weights=("action", *_PERSON_WEIGHTS),
        optional=len(_PERSON_WEIGHTS),
        options=("step", "threshold"),
    ),
}


def load_extractor(
    spec: str,
    *,
    device: str = "auto",
    batch_size: int | None = None,
    precision: str = "float32",
    layers: tuple[int, ...] | None = None,
    step: int | None = None,
    window: float | None = None,
    reduce: bool | None = None,
    crop: bool | None = None,
    threshold: float | None = None,
) -> Any:
    """Load a feature extractor.

    Args:
        spec: a name in `EXTRACTORS`, or one with `:FILE`.
        device: `auto`, `cpu`, `cuda` or `cuda:i`.
        batch_size: windows per call of a network; None for the extractor's own choice.
        precision: `float32`, `float16`, `bfloat16`, or `auto` (float16 on a GPU, float32 on a CPU).
        layers, step, window, reduce, crop, threshold: see `base.Options`.

    Returns:
        A `WindowExtractor`, `FrameExtractor` or `SoundExtractor`, by the kind of its entry.

    Raises:
        ModelError: there is no such extractor, its weights are missing or wrong, the device is not available,
            or a value is not valid.
    """
    entry, files = _look_up(spec, allow_missing=True)
    options = Options(layers, step, window, reduce, crop, threshold)
    name = spec.partition(":")[0]
    for field in fields(options):
        if getattr(options, field.name) is not None and field.name not in entry.options:
            supporting = ", ".join(other for other, line in EXTRACTORS.items() if field.name in line.options)
            raise ModelError(f"{name} has no option {field.name}; these have it: {supporting or 'none'}")
    placement = choose_placement(device, precision, batch_size, name, entry.runs_on_cuda)
    make = getattr(importlib.import_module(f"facerec.features.{entry.module}"), entry.name)
    return make(files, placement, options)


def entry_of(spec: str) -> Entry:
    """Return the registry's line for `spec`.

    Raises:
        ModelError: there is no such extractor.
    """
    name = spec.partition(":")[0]
    if name not in EXTRACTORS:
        raise ModelError(f"unknown feature {name!r}; valid names are {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]


def cards_of(spec: str) -> tuple[ModelCard, ...]:
    """Return the identities of an extractor's models; hashes their weights without loading them.

    Raises:
        ModelError: there is no such extractor, or its weights are missing or wrong.
    """
    return tuple(files.card for files in _look_up(spec)[1])


def check_weights(kind: str, path: Path) -> None:
    """Load the file `path` as the catalogue's weights `kind`; no check if they only work with other weights.

    Raises:
        ModelError: it is not such a file.
    """
    for name, entry in EXTRACTORS.items():
        if entry.weights[: len(entry.weights) - entry.optional] == (kind,):
            load_extractor(f"{name}:{path}", device="cpu")
            return
        if any(kind in role for role in entry.weights if isinstance(role, tuple)):
            from facerec.features.person_models import check_person_weights

            check_person_weights(kind, path)
            return


def _look_up(spec: str, allow_missing: bool = False) -> tuple[Entry, tuple[WeightFiles, ...]]:
    """Find the registry's line for `spec` and the weights.

    Args:
        allow_missing: leave out the optional weights from the first missing one on.
    """
    entry = entry_of(spec)
    name, colon, file = spec.partition(":")
    given: list[str | None] = [None] * len(entry.weights)
    if colon:
        given = [*file.split("+")] if len(entry.weights) > 1 else [file]
        if len(given) == len(entry.weights) - entry.optional:
            given += [None] * entry.optional
    if len(given) != len(entry.weights):
        needed = " + ".join(role if isinstance(role, str) else "|".join(role) for role in entry.weights)
        raise ModelError(
            f"{spec}: {len(given)} weights files given, {len(entry.weights)} needed"
            + (f", for {needed}, as in {name}:FILE{'+FILE' * (len(entry.weights) - 1)}" if needed else "")
        )
    found: list[WeightFiles] = []
    for role, text in zip(entry.weights, given, strict=True):
        try:
            found.append(_find(role, text))
        except ModelError:
            is_optional = len(found) >= len(entry.weights) - entry.optional
            if not (allow_missing and is_optional and text is None):
                raise
            break
    return entry, tuple(found)


def _find(role: str | tuple[str, ...], text: str | None) -> WeightFiles:
    """Find weights by their part of a spec: FILE, and where there is a choice also MODEL or MODEL:FILE."""
    if isinstance(role, str):
        return find_weights(role, text)
    model, colon, file = (text or "").partition(":")
    if model in role:
        return find_weights(model, file if colon else None)
    return find_weights(role[0], text)
