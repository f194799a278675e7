"""Download the catalogue's weights into a folder, once.

A file is downloaded under a temporary name, checked against its published SHA-256 if there is one, loaded
as its model, and only then renamed. `weights.json` in the same folder records source, SHA-256 and licence
of each file.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from urllib.request import urlopen

from facerec.errors import ModelError
from facerec.models import DETECTORS, load_detector, load_embedder
from facerec.models.weights import CATALOGUE, RECORDS, Weights, combined_sha256, find_weights, read_records
from facerec.support.atomic import temporary_name, write_bytes
from facerec.support.cli import progress

TIMEOUT_S = 30.0  # seconds without a byte from the server
_BLOCK = 1 << 20  # bytes read at once


def load_face_model(model: str, path: Path) -> None:
    """Load a weights file as the face detector or embedder `model`; raises ModelError if it cannot be one."""
    load = load_detector if model in DETECTORS else load_embedder
    load(f"{model}:{path}", device="cpu")


def download_weights(model: str, directory: Path, load: Callable[[str, Path], None] = load_face_model) -> str:
    """Download the weights of `model` into `directory`, unless they are there or come with a package.

    Args:
        load: loads a file as the model; raises ModelError if it is not one.

    Returns:
        What was done, as a phrase.

    Raises:
        ModelError: the model is unknown, the network fails, or the file is not the expected one.
    """
    weights = CATALOGUE.get(model)
    if weights is None:
        raise ModelError(f"no weights are published for {model!r}; known models: {', '.join(CATALOGUE)}")
    if weights.package:
        find_weights(model)
        return f"{model} comes with the package {weights.source}"
    path = directory / weights.files[0]
    records = read_records(directory)
    if path.is_file() and records.get(path.name, {}).get("sha256") == combined_sha256((path,)):
        return f"{model} is already there"
    part = path.with_name(temporary_name(path.name))
    try:
        _download(weights, part)
        _check(weights, part)
        load(model, part)
        sha256 = combined_sha256((part,))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    records[path.name] = {
        "model": model,
        "source": weights.source,
        "sha256": sha256,
        "licence": weights.licence,
    }
    write_bytes(directory / RECORDS, (json.dumps(records, indent=2, sort_keys=True) + "\n").encode())
    return f"{model} downloaded, SHA-256 {sha256[:12]}…, licence {weights.licence}"


def _download(weights: Weights, path: Path) -> None:
    """Download the file of `weights` to `path`, unpacked if it comes in an archive."""
    archive = path.with_name(path.name + ".zip") if weights.source.endswith(".zip") else path
    try:
        with urlopen(weights.source, timeout=TIMEOUT_S) as response, archive.open("xb") as file:
            expected = int(response.headers.get("Content-Length") or 0)
            _copy(response, file, expected, weights.files[0])
            if expected and file.tell() != expected:
                received = f"{file.tell()} of {expected} bytes"
                raise ModelError(
                    f"{weights.source}: the download stopped after {received}; run the command again"
                )
        if archive != path:
            _unpack(weights, archive, path)
    except (OSError, ValueError) as error:  # those of urllib name no file, those of the file system do
        if isinstance(error, OSError) and error.filename in (str(path), str(archive)):
            raise
        raise ModelError(
            f"{weights.source}: cannot be downloaded ({error}); without internet access, "
            f"copy {weights.files[0]} into {path.parent} from a machine that has it"
        ) from error
    finally:
        if archive != path:
            archive.unlink(missing_ok=True)


def _copy(response: BinaryIO, file: BinaryIO, expected: int, label: str) -> None:
    """Copy a response of `expected` bytes to a file and show the progress."""
    with progress(label, expected, unit="bytes") as advance:
        while block := response.read(_BLOCK):
            file.write(block)
            advance(len(block))


def _unpack(weights: Weights, archive: Path, path: Path) -> None:
    """Write the only weights file in `archive` to `path`, whatever its name in the archive."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if info.filename.endswith((".pth", ".pt"))]
            if len(members) != 1:
                raise ModelError(f"{weights.source}: the archive has {len(members)} weights files, not one")
            with opened.open(members[0]) as packed, path.open("xb") as file:
                while block := packed.read(_BLOCK):  # raises at the end if the checksum is wrong
                    file.write(block)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{weights.source}: not a zip archive, or a damaged one ({error})") from error
    _compare_with_hint(weights, combined_sha256((archive,)), combined_sha256((path,)))


def _check(weights: Weights, path: Path) -> None:
    """Raise ModelError unless the file has the published hash, if there is one."""
    sha256 = combined_sha256((path,))
    if weights.sha256 and sha256 != weights.sha256:
        raise ModelError(
            f"{weights.source}: not the expected file (its SHA-256 is {sha256[:12]}…, "
            f"the published one {weights.sha256[:12]}…); nothing was kept"
        )
    if not weights.source.endswith(".zip"):
        _compare_with_hint(weights, sha256)


def _compare_with_hint(weights: Weights, *hashes: str) -> None:
    """Warn if none of the hashes begins as the name of the download says."""
    # only a warning: publishers do not promise that the name holds the hash; loading checks the file
    if weights.hint and not any(found.startswith(weights.hint) for found in hashes):
        message = "%s: its SHA-256 begins with %s, but its name with %s"
        logging.warning(message, weights.source, hashes[0][:12], weights.hint)
