"""Compare extract_features.py with the program of v-iashin/video_features: one frame a second, on the CPU.

    python bench/feature_programs.py FILM --checkout DIR [--feature resnet152] [--seconds 210] [--rounds 1]

DIR is a checkout of video_features; its `main.py` runs with this Python; it needs omegaconf as well, which
may lie in a folder of PYTHONPATH. Both programs load the same random weights: those of ResNet-152 lie where
torchvision looks for them (TORCH_HOME), those of CLIP (ViT-B/32, `model_name=custom`) are linked into DIR
for the time of the run. CLIP's are numbers of 16 bits, since video_features rounds them so.

All programs compute from start to end, one after the other, and get the first seconds of the film, which is
repeated if it is shorter. video_features crops frames to 224x224 pixels, as clip and `resnet152 --crop` do;
`resnet152` without it takes whole frames, 1.8 times the pixels. `least_cosine` compares the rows of the
same crops. Prints JSON. On a busy machine set OMP_NUM_THREADS=1 and compare the CPU seconds: with several
threads torch waits actively, which counts as CPU time.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from bench.features import cut_film
from bench.measure import ROOT, Cost, cost_of_program, interleaved

OURS: dict[str, dict[str, list[str]]] = {
    "resnet152": {"facerec --crop": ["--crop"], "facerec": []},
    "clip": {"facerec": []},
}
THEIRS = {
    "resnet152": ["feature_type=resnet", "model_name=resnet152"],
    "clip": ["feature_type=clip", "model_name=custom"],
}
CUSTOM = "models/clip/checkpoints/CLIP-custom.pth"  # of video_features


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("film", type=Path)
    made.add_argument("--checkout", type=Path, required=True, metavar="DIR", help="of video_features")
    made.add_argument("--feature", choices=tuple(OURS), default="resnet152")
    made.add_argument("--seconds", type=int, default=210, help="seconds from the start of the film")
    made.add_argument("--rounds", type=int, default=1, help="interleaved runs")
    return made


def random_weights(feature: str, work: Path) -> Path:
    """Write random weights that both programs can load."""
    import torch

    torch.manual_seed(7)
    if feature == "clip":
        import open_clip

        path = work / "clip.pt"
        state = open_clip.create_model("ViT-B-32-quickgelu").half().state_dict()
        torch.save({name: tensor.float() for name, tensor in state.items()}, path)
        path.with_name("clip.pt.toml").write_text(
            'architecture = "ViT-B-32-quickgelu"\npublished_as = "openai"\n'
        )
        return path
    from torchvision.models import ResNet152_Weights, resnet152

    path = work / "torch" / "hub" / "checkpoints" / Path(ResNet152_Weights.IMAGENET1K_V1.url).name
    path.parent.mkdir(parents=True)
    torch.save(resnet152().state_dict(), path)
    return path


@contextmanager
def linked(link: Path, target: Path) -> Iterator[None]:
    """Make a link for the time of the block."""
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    try:
        yield
    finally:
        link.unlink()


def measure(args: argparse.Namespace, weights: Path, work: Path) -> dict[str, object]:
    """Run all programs on one film and compare their costs and rows."""
    film = cut_film(args.film.absolute(), args.seconds, work)
    (work / "list.txt").write_text(f"{film}\n")
    program = [sys.executable, str(ROOT / "facerec" / "extract_features.py"), str(work / "list.txt")]
    program += ["--features", f"{args.feature}:{weights}", "--device", "cpu"]
    theirs = ["env", "-C", str(args.checkout), f"TORCH_HOME={work}/torch", sys.executable, "main.py"]
    theirs += ["extraction_fps=1", "device=cpu", "on_extraction=save_numpy", f"tmp_path={work}/tmp"]
    theirs += [*THEIRS[args.feature], f"video_paths={film}"]
    rows: dict[str, NDArray[np.float32]] = {}

    def runner(name: str, command: list[str], option: str, outputs: str) -> Callable[[], Cost]:
        def run() -> Cost:
            out = tempfile.mkdtemp(dir=work)
            used = cost_of_program([*command, option + out])
            rows[name] = np.load(next(Path(out).glob(outputs)))
            return used

        return run

    works = {
        name: runner(name, [*program, *words], "--out=", "**/*.npy")
        for name, words in OURS[args.feature].items()
    }
    kind = args.feature.rstrip("0123456789")
    works["video_features"] = runner("video_features", theirs, "output_path=", f"**/*_{kind}.npy")
    found = interleaved(works, args.rounds)
    first = next(iter(works))
    a, b = (rows[name][: min(map(len, rows.values()))] for name in (first, "video_features"))
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    other = found["video_features"]
    return {
        "rows": {name: len(array) for name, array in rows.items()},
        "seconds": {name: used.rounded() for name, used in found.items()},
        "ratio": {name: round(other.wall_s / used.wall_s, 2) for name, used in found.items()},
        "ratio_cpu": {name: round(other.cpu_s / used.cpu_s, 2) for name, used in found.items()},
        "least_cosine": round(float(cosines.min()), 7),
    }


def main() -> int:
    args = arguments().parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        weights = random_weights(args.feature, work)
        if args.feature == "clip":
            with linked(args.checkout / CUSTOM, weights):
                table = measure(args, weights, work)
        else:
            table = measure(args, weights, work)
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
