"""Download the weights of models, on a machine with internet access (`make models`); other commands never do.

A pack of insightface (`buffalo_l`) is a detector and an embedder, for `--models`.

A file that exists and is recorded in weights.json is not downloaded again. A new file is kept only if it can
be loaded as its model and, where a SHA-256 is published, has this SHA-256.
"""

from __future__ import annotations

if not __package__:  # run as a script, see _script.py
    import _script  # noqa: F401

import argparse
from collections.abc import Sequence
from pathlib import Path

from facerec.models.packs import PACKS
from facerec.models.weights import CATALOGUE, weights_folder
from facerec.support.cli import configure_logging, parser, run_main

DEFAULT = ("retinaface", "facenet")


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this command's command line."""
    command_line = parser(__doc__)
    command_line.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help=f"models or packs to fetch: {', '.join([*CATALOGUE, *PACKS])} (default: {' '.join(DEFAULT)})",
    )
    command_line.add_argument(
        "--path",
        type=Path,
        default=weights_folder(),
        help="folder for the weights; set FACEREC_WEIGHTS to change it for all commands",
    )
    return command_line


def main(argv: Sequence[str] | None = None) -> int:
    args = arguments().parse_args(argv)
    configure_logging(args.verbose)
    from facerec.features import check_weights
    from facerec.models import DETECTORS, EMBEDDERS
    from facerec.models.download import download_weights, load_face_model

    args.path.mkdir(parents=True, exist_ok=True)
    faces = {**DETECTORS, **EMBEDDERS, **PACKS}
    done = [
        download_weights(model, args.path, load_face_model if model in faces else check_weights)
        for model in args.models or DEFAULT
    ]
    print(f"{args.path}: {'; '.join(done)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
