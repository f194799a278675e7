"""Download the catalogue's weights, and packs of them, into a folder, once.

A file is downloaded under a temporary name, checked against its published SHA-256 if there is one, loaded
as its model, and only then renamed. `weights.json` in the same folder records source, SHA-256 and licence
of each file. Of an archive only the files that are wanted are read, and written under names of the
catalogue; nothing in it is run.
"""

from __future__ import annotations

import json
import logging
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from facerec.errors import ModelError
from facerec.models import DETECTORS, load_detector, load_embedder
from facerec.models.packs import LICENCE, PACKS, Pack
from facerec.models.weights import CATALOGUE, RECORDS, Weights, combined_sha256, find_weights, read_records
from facerec.support.atomic import temporary_name, write_bytes
from facerec.support.cli import progress

TIMEOUT_S = 30.0  # seconds without a byte from the server
_BLOCK = 1 << 20  # bytes read at once
_MAX_FILE = 1 << 30  # bytes of a file in a pack, several times those of the largest; an archive may be a bomb


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
    if model in PACKS:
        return download_pack(PACKS[model], directory / model, load)
    weights = CATALOGUE.get(model)
    if weights is None:
        known = ", ".join([*CATALOGUE, *PACKS])
        raise ModelError(f"no weights are published for {model!r}; known models: {known}")
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
    _record(directory, path.name, model, weights.source, sha256, weights.licence)
    return f"{model} downloaded, SHA-256 {sha256[:12]}…, licence {weights.licence}"


def download_pack(pack: Pack, folder: Path, load: Callable[[str, Path], None] = load_face_model) -> str:
    """Download the detector and the embedder of a pack into `folder`, unless they are there.

    Args:
        load: as in `download_weights`.

    Returns:
        What was done, as a phrase.

    Raises:
        ModelError: the network fails, or the archive is not the expected one.
    """
    records = read_records(folder)
    paths = {folder / name: model for name, model in pack.files().items()}
    if all(
        path.is_file() and records.get(path.name, {}).get("sha256") == combined_sha256((path,))
        for path in paths
    ):
        return f"{pack.name} is already there"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {path: path.with_name(temporary_name(path.name)) for path in paths}
    archive = folder / temporary_name(f"{pack.name}.zip")
    try:
        with _explained(pack.source, f"{' and '.join(pack.files())} of it", folder, archive, *parts.values()):
            _save(pack.source, archive, f"{pack.name}.zip")
            with _opened(pack.source, archive) as opened:
                for path, part in parts.items():
                    _extract(pack.source, opened, path.name, part)
        for path, part in parts.items():
            _check_sha256(pack.source, path.name, combined_sha256((part,)), pack.sha256.get(path.name, ""))
            load(paths[path], part)
        for path, part in parts.items():
            sha256 = combined_sha256((part,))
            part.replace(path)
            _record(folder, path.name, paths[path], pack.source, sha256, LICENCE)
    finally:
        for part in (archive, *parts.values()):
            part.unlink(missing_ok=True)
    return f"{pack.name} downloaded ({', '.join(pack.files())}), licence {LICENCE}"


def _record(folder: Path, name: str, model: str, source: str, sha256: str, licence: str) -> None:
    """Record a file in the `weights.json` of its folder."""
    records = read_records(folder)
    records[name] = {"model": model, "source": source, "sha256": sha256, "licence": licence}
    write_bytes(folder / RECORDS, (json.dumps(records, indent=2, sort_keys=True) + "\n").encode())


def _download(weights: Weights, path: Path) -> None:
    """Download the file of `weights` to `path`, unpacked if it comes in an archive."""
    archive = path.with_name(path.name + ".zip") if weights.source.endswith(".zip") else path
    try:
        with _explained(weights.source, weights.files[0], path.parent, path, archive):
            _save(weights.source, archive, weights.files[0])
            if archive != path:
                _unpack(weights, archive, path)
    finally:
        if archive != path:
            archive.unlink(missing_ok=True)


@contextmanager
def _explained(source: str, what: str, folder: Path, *written: Path) -> Iterator[None]:
    """Turn an error of the network in the block into a ModelError that says what to do without a network.

    Args:
        what: to be copied into `folder` instead.
        written: files that the block writes; their errors stay as they are.
    """
    try:
        yield
    except (OSError, ValueError) as error:  # those of urllib name no file, those of the file system do
        if isinstance(error, OSError) and error.filename in set(map(str, written)):
            raise
        raise ModelError(
            f"{source}: cannot be downloaded ({error}); without internet access, "
            f"copy {what} into {folder} from a machine that has it"
        ) from error


def _save(source: str, path: Path, label: str) -> None:
    """Download `source` to `path`, show the progress, and check that all of it came."""
    with urlopen(source, timeout=TIMEOUT_S) as response, path.open("xb") as file:
        expected = int(response.headers.get("Content-Length") or 0)
        with progress(label, expected, unit="bytes") as advance:
            while block := response.read(_BLOCK):
                file.write(block)
                advance(len(block))
        if expected and file.tell() != expected:
            received = f"{file.tell()} of {expected} bytes"
            raise ModelError(f"{source}: the download stopped after {received}; run the command again")


@contextmanager
def _opened(source: str, archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a downloaded archive; a damaged one gives a ModelError, also while its files are read."""
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{source}: not a zip archive, or a damaged one ({error})") from error


def _copy_member(opened: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> None:
    """Write a file of an archive, of any name, to `path`; raises if its checksum is wrong."""
    with opened.open(member) as packed, path.open("xb") as file:
        while block := packed.read(_BLOCK):
            file.write(block)


def _unpack(weights: Weights, archive: Path, path: Path) -> None:
    """Write the only weights file in `archive` to `path`, whatever its name in the archive."""
    with _opened(weights.source, archive) as opened:
        members = [info for info in opened.infolist() if info.filename.endswith((".pth", ".pt"))]
        if len(members) != 1:
            raise ModelError(f"{weights.source}: the archive has {len(members)} weights files, not one")
        _copy_member(opened, members[0], path)
    _compare_with_hint(weights, combined_sha256((archive,)), combined_sha256((path,)))


def _extract(source: str, opened: zipfile.ZipFile, name: str, path: Path) -> None:
    """Write the file `name` of a pack, from any folder of the archive, to `path`.

    zipfile reads no more bytes than a file's entry states, so that checking this bounds what is written.
    """
    members = [info for info in opened.infolist() if info.filename.rpartition("/")[2] == name]
    if len(members) != 1:
        raise ModelError(f"{source}: the archive has {len(members)} files {name}, not one")
    if members[0].file_size > _MAX_FILE:
        size = f"{members[0].file_size} bytes, more than {_MAX_FILE}"
        raise ModelError(f"{source}: {name} in the archive has {size}; nothing was kept")
    _copy_member(opened, members[0], path)


def _check(weights: Weights, path: Path) -> None:
    """Raise ModelError unless the file has the published hash, if there is one."""
    sha256 = combined_sha256((path,))
    _check_sha256(weights.source, "", sha256, weights.sha256)
    if not weights.source.endswith(".zip"):
        _compare_with_hint(weights, sha256)


def _check_sha256(source: str, name: str, found: str, published: str) -> None:
    """Raise ModelError unless a file has the published hash, if there is one.

    Args:
        name: of the file in an archive.
    """
    if published and found != published:
        raise ModelError(
            f"{source}: {f'{name} is ' if name else ''}not the expected file (its SHA-256 is {found[:12]}…, "
            f"the published one {published[:12]}…); nothing was kept"
        )


def _compare_with_hint(weights: Weights, *hashes: str) -> None:
    """Warn if none of the hashes begins as the name of the download says."""
    # only a warning: publishers do not promise that the name holds the hash; loading checks the file
    if weights.hint and not any(found.startswith(weights.hint) for found in hashes):
        message = "%s: its SHA-256 begins with %s, but its name with %s"
        logging.warning(message, weights.source, hashes[0][:12], weights.hint)
