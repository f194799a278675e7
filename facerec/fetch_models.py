"""Fetch the weights of models, once, where there is a network (`make models`): jobs never download.

A file is fetched under another name, checked (against its published SHA-256 where there is one, and by
loading it as the model it is for), and only then given its name; `weights.json` beside it records where
it came from, its SHA-256 and its licence. What is there and as recorded is not fetched again.
"""

from __future__ import annotations

if not __package__:  # run as a plain script, see there
    import _script  # noqa: F401

import argparse
import json
import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from facerec.errors import ModelError
from facerec.models.weights import (
    CATALOGUE,
    RECORDS,
    Weights,
    combined_sha256,
    find_weights,
    read_records,
    weights_folder,
)
from facerec.support.atomic import temporary_name, write_bytes
from facerec.support.cli import configure_logging, parser, progress, run_main

DEFAULT = ("retinaface", "facenet")
TIMEOUT_S = 30.0  # without a byte from the server


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch the weights of the models that the command line names."""
    args = _parser().parse_args(argv)
    configure_logging(args.verbose)
    args.path.mkdir(parents=True, exist_ok=True)
    done = [fetch(name, args.path) for name in args.models]
    print(f"{args.path}: {'; '.join(done)}")  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__)
    made.add_argument(
        "models",
        nargs="*",
        default=list(DEFAULT),
        metavar="MODEL",
        help=f"any of {', '.join(CATALOGUE)}",
    )
    made.add_argument(
        "--path", type=Path, default=weights_folder(), help="folder of the weights ($FACEREC_WEIGHTS)"
    )
    return made


def fetch(name: str, place: Path) -> str:
    """Have the weights of the model `name` in the folder `place`.

    Returns:
        What was done, in words.

    Raises:
        ModelError: no such model, no network, or what came is not what it should be.
    """
    weights = CATALOGUE.get(name)
    if weights is None:
        raise ModelError(f"no weights are published for {name!r}; there are those of {', '.join(CATALOGUE)}")
    if weights.package:
        find_weights(name)
        return f"{name} comes with the package {weights.source}"
    path = place / weights.files[0]
    records = read_records(place)
    if path.is_file() and records.get(path.name, {}).get("sha256") == combined_sha256((path,)):
        return f"{name} is there"
    part = path.with_name(temporary_name(path.name))
    try:
        _download(weights, part)
        _check(name, weights, part)
        sha256 = combined_sha256((part,))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    records[path.name] = {
        "model": name,
        "source": weights.source,
        "sha256": sha256,
        "licence": weights.licence,
    }
    write_bytes(place / RECORDS, (json.dumps(records, indent=2, sort_keys=True) + "\n").encode())
    return f"{name} fetched, SHA-256 {sha256[:12]}…, licence {weights.licence}"


def _download(weights: Weights, path: Path) -> None:
    """Fetch the file of `weights`, out of its archive if it comes in one, as `path`."""
    from urllib.request import urlopen

    archive = path.with_name(path.name + ".zip") if weights.source.endswith(".zip") else path
    try:
        with urlopen(weights.source, timeout=TIMEOUT_S) as answer, archive.open("xb") as file:
            expected = int(answer.headers.get("Content-Length") or 0)
            _copy(answer, file, expected, weights.files[0])
            if expected and file.tell() != expected:
                raise ModelError(
                    f"{weights.source}: broke off after {file.tell()} of {expected} bytes; again"
                )
        if archive != path:
            _unpack(weights, archive, path)
    except (OSError, ValueError) as error:  # urllib's errors are such; the file system's name a file
        if isinstance(error, OSError) and error.filename in (str(path), str(archive)):
            raise
        raise ModelError(
            f"{weights.source}: cannot be fetched ({error}); where there is no network, "
            f"put {weights.files[0]} into {path.parent} from a machine that has one"
        ) from error
    finally:
        if archive != path:
            archive.unlink(missing_ok=True)


def _copy(answer: BinaryIO, file: BinaryIO, expected: int, label: str) -> None:
    with progress(label, expected, unit="bytes") as advance:
        while block := answer.read(1 << 20):
            file.write(block)
            advance(len(block))


def _unpack(weights: Weights, archive: Path, path: Path) -> None:
    """Write the one file in `archive` as `path`; its name in the archive is not used."""
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [info for info in opened.infolist() if info.filename.endswith((".pth", ".pt"))]
            if len(names) != 1:
                raise ModelError(
                    f"{weights.source}: an archive of {len(names)} weights files; one is expected"
                )
            with opened.open(names[0]) as packed, path.open("xb") as file:
                while block := packed.read(1 << 20):  # a wrong checksum raises at its end
                    file.write(block)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{weights.source}: no zip archive, or a damaged one ({error})") from error
    hashes = combined_sha256((archive,)), combined_sha256((path,))
    if weights.hint and not any(found.startswith(weights.hint) for found in hashes):
        # A convention of names, and no promise of the publisher: whether the file fits is checked by loading.
        logging.warning(
            "%s: its SHA-256 is %s…, its name says %s", weights.source, hashes[0][:12], weights.hint
        )


def _check(name: str, weights: Weights, path: Path) -> None:
    """Refuse a file whose hash is not the published one, or that does not load as the model `name`."""
    from facerec.models import DETECTORS, load_detector, load_embedder

    sha256 = combined_sha256((path,))
    if weights.sha256 and sha256 != weights.sha256:
        raise ModelError(
            f"{weights.source}: not the file that is expected (SHA-256 {sha256[:12]}…, "
            f"published {weights.sha256[:12]}…); nothing was kept"
        )
    load = load_detector if name in DETECTORS else load_embedder
    load(f"{name}:{path}", device="cpu")


if __name__ == "__main__":
    raise SystemExit(run_main(main))
