"""Compare extract_features.py with the program of v-iashin/video_features: ResNet-152 at one frame a second.

    python bench/feature_programs.py FILM --checkout DIR --weights resnet152-394f9c45.pth [--seconds 90]

DIR is a checkout of video_features; its `main.py` runs with this Python; it needs omegaconf as well, which
may lie in a folder of PYTHONPATH. It reads its weights from torch's cache
(~/.cache/torch/hub/checkpoints): FILE must be that file, or a copy of it. Random weights will do.

Both programs compute on the CPU, from start to end, one after the other, and get the first seconds of the
film, which is repeated if it is shorter. Ours crops frames to 224x224 pixels as video_features does, unless
--no-crop is given; `least_cosine` compares the rows. Prints JSON. On a busy machine set OMP_NUM_THREADS=1 and
compare the CPU seconds: with several threads torch waits actively, which counts as CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from bench.features import cut_film
from bench.measure import ROOT, Cost, cost_of_program, interleaved


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("film", type=Path)
    made.add_argument("--checkout", type=Path, required=True, metavar="DIR", help="of video_features")
    made.add_argument("--weights", type=Path, required=True, metavar="FILE", help="of ResNet-152")
    made.add_argument("--seconds", type=int, default=90, help="seconds from the start of the film")
    made.add_argument("--rounds", type=int, default=1, help="interleaved runs")
    made.add_argument("--no-crop", action="store_true", help="ours takes whole frames, 1.8 times the pixels")
    return made


def main() -> int:
    args = arguments().parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        film = cut_film(args.film.absolute(), args.seconds, work)
        (work / "list.txt").write_text(f"{film}\n")
        crop = [] if args.no_crop else ["--crop"]
        ours = ["--features", f"resnet152:{args.weights.absolute()}", "--device", "cpu", *crop]
        theirs = [
            "feature_type=resnet",
            "model_name=resnet152",
            "extraction_fps=1",
            "device=cpu",
            "on_extraction=save_numpy",
            f"output_path={work}/theirs",
            f"tmp_path={work}/tmp",
            f"video_paths={film}",
        ]
        program = str(ROOT / "facerec" / "extract_features.py")

        def run_ours() -> Cost:
            out = tempfile.mkdtemp(prefix="ours", dir=work)
            return cost_of_program([sys.executable, program, *ours, "--out", out, str(work / "list.txt")])

        def run_theirs() -> Cost:
            for path in work.glob("theirs/**/*.npy"):  # it skips what is there
                path.unlink()
            return cost_of_program(["env", "-C", str(args.checkout), sys.executable, "main.py", *theirs])

        found = interleaved({"facerec": run_ours, "video_features": run_theirs}, args.rounds)
        outputs = work.glob("ours*/**/*.npy"), work.glob("theirs/**/*_resnet.npy")
        rows = [np.load(next(paths)) for paths in outputs]
        count = min(map(len, rows))
        dots = [(a[:count] * b[:count]).sum(1) for a, b in ((rows[0], rows[1]), rows[:1] * 2, rows[1:] * 2)]
        table = {
            "rows": {name: len(array) for name, array in zip(found, rows, strict=True)},
            "seconds": {name: used.rounded() for name, used in found.items()},
            "ratio": round(found["video_features"].wall_s / found["facerec"].wall_s, 2),
            "ratio_cpu": round(found["video_features"].cpu_s / found["facerec"].cpu_s, 2),
            "least_cosine": round(float((dots[0] / np.sqrt(dots[1] * dots[2])).min()), 4),
        }
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
