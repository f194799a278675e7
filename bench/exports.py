"""Measure `export.py` on a finished folder, one program per format.

    python bench/feature_film.py --work /tmp/film
    python bench/exports.py /tmp/film/77-data [--actor-db DIR]

Prints JSON: seconds of CPU and by the clock, peak resident MiB and size of the file of each format. Every
program opens and checks the folder first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import ROOT, cost_of_program
from facerec.exporting.registry import FORMATS


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="movie folder, <out>/<movie_id>-data")
    parser.add_argument("--actor-db", type=Path, help="actor database (default: beside the folder)")
    args = parser.parse_args()
    database = args.actor_db or args.folder.parent / "actor_db"
    measured = {}
    with tempfile.TemporaryDirectory() as temporary:
        for one in FORMATS.values():
            out = Path(temporary) / f"out.{one.suffixes[0]}"
            command = [sys.executable, "-u", str(ROOT / "facerec" / "export.py"), "--path", str(args.folder)]
            command += ["--format", one.name, "--actor-db", str(database), "--out", str(out)]
            measured[one.name] = {
                **cost_of_program(command).rounded(),
                "mb": round(out.stat().st_size / 1e6, 1),
            }
    print(json.dumps(measured, indent=1))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
