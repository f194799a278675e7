"""insightface's packs: a detector and an embedder that are chosen by one name, `--models buffalo_l`.

A pack is an archive with several networks, of which the detector (SCRFD) and the embedder (ArcFace) are used.
`make models MODELS=buffalo_l` puts these two files into the folder of the pack's name in the weights folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facerec.errors import InputError, ModelError
from facerec.models.weights import CATALOGUE, IN_PACKAGES, fetch_command, weights_folder
from facerec.settings import ExtractSettings
from facerec.support.shell import option

SOURCE = "https://github.com/deepinsight/insightface/releases/download/model-zoo/{name}.zip"
LICENCE = "non-commercial research only (insightface)"
# insightface states no SHA-256. These are those that uniface states for its copies of the same files.
_SHA256 = {
    "det_10g.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    "scrfd_10g_bnkps.onnx": "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
    "det_500m.onnx": "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
    "w600k_r50.onnx": "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
    "w600k_mbf.onnx": "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
}


@dataclass(frozen=True)
class Pack:
    """A published pack.

    Attributes:
        name: of the pack and of its folder.
        detector, embedder: names of the two files.
        sha256: of a file by its name, where somebody states one.
    """

    name: str
    detector: str
    embedder: str
    sha256: Mapping[str, str] = field(default_factory=lambda: _SHA256)

    @property
    def source(self) -> str:
        """URL of the archive."""
        return SOURCE.format(name=self.name)

    def files(self) -> dict[str, str]:
        """Return the name in the registry of the model in each file."""
        return {self.detector: "scrfd", self.embedder: "arcface"}


PACKS: Mapping[str, Pack] = {
    pack.name: pack
    for pack in (
        Pack("buffalo_l", "det_10g.onnx", "w600k_r50.onnx"),
        Pack("buffalo_m", "det_2.5g.onnx", "w600k_r50.onnx"),
        Pack("buffalo_s", "det_500m.onnx", "w600k_mbf.onnx"),
        Pack("buffalo_sc", "det_500m.onnx", "w600k_mbf.onnx"),
        Pack("antelopev2", "scrfd_10g_bnkps.onnx", "glintr100.onnx"),
    )
}


def pack_models(word: str) -> tuple[str, str]:
    """Return the specs of the detector and the embedder of a pack.

    Args:
        word: name of the pack, or its folder, as in `~/.insightface/models/buffalo_l`.

    Raises:
        InputError: there is no such pack.
        ModelError: its files are missing.
    """
    path = Path(word).expanduser()
    pack = PACKS.get(path.name)
    if pack is None:
        raise InputError(f"{option('--models', word)}: no such pack; known packs are {', '.join(PACKS)}")
    folder = path if path.name != word else weights_folder() / pack.name
    for name in pack.files():
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder / name}: the models of {pack.name} are missing; run `{fetch_command(pack.name)}` "
                f"on a machine with internet access, or copy {' and '.join(pack.files())} to this folder, "
                f"from {pack.source}"
            )
    return f"scrfd:{folder / pack.detector}", f"arcface:{folder / pack.embedder}"


def models_to_prepare(made: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return a detector and an embedder with which an actor database can be prepared on this machine.

    Args:
        made: what made its embeddings, as `ActorDatabase.read_meta` gives it; None: nothing made them yet.

    Returns:
        Those that made the embeddings; else empty names, which are the default models, if their weights are
        here; else the models that come with packages.
    """
    if made is not None:
        kinds = ((made.get(role) or {}).get("kind") or "" for role in ("detector", "embedder"))
        detector, embedder = map(str, kinds)
        return detector, embedder
    defaults = ExtractSettings.detector, ExtractSettings.embedder
    files = (weights_folder() / name for kind in defaults for name in CATALOGUE[kind].files)
    return ("", "") if all(file.is_file() for file in files) else IN_PACKAGES


def choose_models(args: argparse.Namespace) -> None:
    """Set `args.detector` and `args.embedder`, where they were not given, from `args.models` or the defaults.

    Args:
        args: of a command line with `folder.command.add_model_arguments`.

    Raises:
        InputError, ModelError: as in `pack_models`.
    """
    default = ExtractSettings.detector, ExtractSettings.embedder
    detector, embedder = pack_models(args.models) if args.models else default
    args.detector, args.embedder = args.detector or detector, args.embedder or embedder
