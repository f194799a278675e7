"""Compare the speed of features with the documented loop of other extractors, and measure their memory.

    python bench/features.py loop FILM [--features resnet152 clip] [--seconds 60] [--rounds 1]
    python bench/features.py network FILM [--features slowfast_r50 resnext101_3d] [--windows 8]
    python bench/features.py memory [--frames 2000] [--times 10]

loop      one frame a second: the engine of extract_features.py against the loop that extractors such as
          v-iashin/video_features document: OpenCV reads all frames; torchvision transforms each that is
          wanted (a PIL image: resize, tensor, normalise); the network computes it alone. Film, network,
          random weights and picture size are the same; the least cosine of the rows shows that
network   windows of several frames: the engine against the same network on windows that lie in memory
memory    the peak of extract_features.py on a movie and on one that is --times as long, and on two sounds

Prints JSON. Seconds are medians of interleaved runs, without loading the network. On a busy machine only the
ratios count.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from bench.measure import ROOT, Cost, cost, cost_of_program, interleaved

MOVIE = 1
SHOT = 250  # frames, in the films for memory


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = made.add_subparsers(dest="part", required=True)
    loop = parts.add_parser("loop", help="against the documented loop")
    network = parts.add_parser("network", help="against the network alone")
    for one, features in ((loop, ["resnet152", "clip"]), (network, ["slowfast_r50", "resnext101_3d"])):
        one.add_argument("film", type=Path)
        one.add_argument("--features", nargs="+", default=features)
        one.add_argument("--rounds", type=int, default=1, help="interleaved runs")
    loop.add_argument("--seconds", type=int, default=60, help="seconds from the start of the film")
    network.add_argument("--windows", type=int, default=8)
    memory = parts.add_parser("memory", help="of films and sound of two lengths")
    memory.add_argument("--frames", type=int, default=2000, help="frames of the short film")
    memory.add_argument("--minutes", type=int, default=10, help="of the short sound file")
    memory.add_argument("--times", type=int, default=10, help="length of the long ones / short ones")
    return made


def weights(feature: str, folder: Path) -> Path:
    """Write random weights of a feature's network in the format of the published file."""
    import torch

    path = folder / f"{feature}.pt"
    if path.exists():
        return path
    torch.manual_seed(7)
    if feature == "clip":
        import open_clip

        network: Any = open_clip.create_model("ViT-B-32")
        path.with_name(path.name + ".toml").write_text(
            'architecture = "ViT-B-32"\npublished_as = "laion2b_s34b_b79k"\n'
        )
    elif feature in ("resnet152", "place"):
        import torchvision

        network = (
            torchvision.models.resnet152()
            if feature == "resnet152"
            else torchvision.models.resnet50(num_classes=365)
        )
    elif feature == "slowfast_r50":
        from pytorchvideo.models.hub import slowfast_r50

        torch.save({"model_state": slowfast_r50(pretrained=False).state_dict()}, path)
        return path
    else:
        from facerec.features.resnext101_3d import ResNeXt3D

        network = ResNeXt3D()
    torch.save(network.state_dict(), path)
    return path


def ours(feature: str, spec: str, film: Path) -> tuple[Callable[[], NDArray[np.float32]], Any]:
    """Return a function that computes the rows of a film with the engine, and the extractor."""
    from facerec.feature_runs.engine import FeatureEngine
    from facerec.feature_runs.media import open_footage
    from facerec.feature_runs.sources import ClipRequest
    from facerec.features import load_extractor

    extractor = load_extractor(spec, device="cpu")

    def run() -> NDArray[np.float32]:
        found: list[NDArray[np.float32]] = []

        def finished(clip: ClipRequest, feature: str, rows: Any) -> None:
            if isinstance(rows, Exception):
                raise rows
            with tempfile.TemporaryFile() as file:
                rows.write(file)
                file.seek(0)
                found.append(np.load(file))

        engine = FeatureEngine({feature: extractor})
        footage = open_footage(film, 25.0, 0)
        clips = [ClipRequest("film", 0, len(footage.times))]
        engine.compute(footage, clips, [feature], finished, lambda _: None)
        engine.flush()
        return found[0]

    return run, extractor


def documented_loop(feature: str, path: Path) -> Callable[[Path], NDArray[np.float32]]:
    """Return the loop that computes the rows of a film, one frame a second."""
    import cv2
    import PIL.Image
    import torch
    from torchvision import models, transforms

    state = torch.load(path, weights_only=True)
    if feature == "clip":
        import open_clip

        network, _, transform = open_clip.create_model_and_transforms("ViT-B-32")
        network.load_state_dict(state)
        forward = network.eval().encode_image
    else:
        network = models.resnet152()
        network.load_state_dict(state)
        network.fc = torch.nn.Identity()
        forward = network.eval()
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        steps = [transforms.Resize(224, transforms.InterpolationMode.BICUBIC), transforms.ToTensor()]
        transform = transforms.Compose([*steps, transforms.Normalize(mean, std)])

    def run(film: Path) -> NDArray[np.float32]:
        capture = cv2.VideoCapture(str(film))
        rate, number = capture.get(cv2.CAP_PROP_FPS), 0
        rows: list[NDArray[np.float32]] = []
        with torch.no_grad():
            while True:
                there, frame = capture.read()
                if not there:
                    break
                if round(len(rows) * rate + rate / 2) == number:
                    picture = PIL.Image.fromarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
                    rows.append(forward(transform(picture)[None])[0].numpy())
                number += 1
        capture.release()
        return np.stack(rows)

    return run


def cut_film(film: Path, seconds: float, work: Path) -> Path:
    """Write the first seconds of a film, which is repeated if it is shorter, without decoding it."""
    import av

    path = work / f"{seconds}{film.suffix}"
    with av.open(str(path), "w") as output:
        with av.open(str(film)) as probe:
            template = probe.streams.video[0]
            stream = output.add_stream_from_template(template)
            assert template.average_rate and template.time_base
            step = int(1 / template.average_rate / template.time_base)
            time_base = template.time_base
        offset = 0
        while offset * time_base < seconds:
            beg, start = offset, None
            with av.open(str(film)) as source:
                for packet in source.demux(video=0):
                    if packet.pts is None or packet.dts is None:
                        continue
                    start = packet.pts if start is None else start  # some films begin late
                    packet.pts, packet.dts = packet.pts + beg - start, packet.dts + beg - start
                    if packet.dts * time_base >= seconds:
                        break
                    offset = max(offset, packet.pts + step)
                    packet.stream = stream
                    output.mux(packet)
    return path


def loops(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Measure the frames at one a second."""
    film = cut_film(args.film, args.seconds, work)
    return {feature: against_loop(feature, film, args.rounds, work) for feature in args.features}


def against_loop(feature: str, film: Path, rounds: int, work: Path) -> dict[str, Any]:
    """Measure one feature of single frames."""
    path = weights(feature, work)
    run, _ = ours(feature, f"{feature}:{path}", film)
    loop = documented_loop(feature, path)
    rows: dict[str, NDArray[np.float32]] = {}

    def measured(name: str, compute: Callable[[], NDArray[np.float32]]) -> Callable[[], Cost]:
        return lambda: cost(lambda: rows.__setitem__(name, compute()))

    works = {"facerec": measured("facerec", run), "loop": measured("loop", lambda: loop(film))}
    found = interleaved(works, rounds)
    count = min(map(len, rows.values()))
    one, two = (rows[name][:count] for name in works)
    cosines = (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)
    return {
        "rows": {name: len(array) for name, array in rows.items()},
        "seconds": {name: used.rounded() for name, used in found.items()},
        "ratio": round(found["loop"].wall_s / found["facerec"].wall_s, 2),
        "ratio_cpu": round(found["loop"].cpu_s / found["facerec"].cpu_s, 2),
        "least_cosine": round(float(cosines.min()), 4),
    }


def networks(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Measure windows of several frames against the network alone."""
    return {feature: against_network(feature, args, work) for feature in args.features}


def against_network(feature: str, args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Measure one feature of windows."""
    rate, step = (24, 16) if feature == "resnext101_3d" else (25, 1)
    film = cut_film(args.film, args.windows * step / rate, work)
    run, extractor = ours(feature, f"{feature}:{weights(feature, work)}", film)
    batches = keep_windows(extractor)
    rows = run()
    forward, windows = type(extractor).forward, [*batches]

    def alone() -> None:
        for batch in windows:
            forward(extractor, batch)

    works = {"facerec": lambda: cost(run), "network": lambda: cost(alone)}
    found = interleaved(works, args.rounds)
    return {
        "windows": len(rows),
        "seconds": {name: used.rounded() for name, used in found.items()},
        "share_of_the_network": round(found["network"].wall_s / found["facerec"].wall_s, 3),
        "share_of_the_network_cpu": round(found["network"].cpu_s / found["facerec"].cpu_s, 3),
    }


def keep_windows(extractor: Any) -> list[Any]:
    """Keep the batches of the next run of an extractor."""
    batches: list[Any] = []
    forward = extractor.forward

    def kept(windows: Any) -> Any:
        batches.append(windows)
        return forward(windows)

    extractor.forward = kept
    return batches


def peaks(args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Measure the peak memory of the command for two lengths of film and of sound."""
    from bench.memory import make_film
    from facerec.folder.documents import scene_changes_bytes

    place = weights("place", work)
    lengths = {"short": 1, "long": args.times}
    found: dict[str, dict[str, float]] = {"place": {}, "audio_stft": {}}
    for name, times in lengths.items():
        frames = args.frames * times
        film = make_film(work / f"{MOVIE}-{name}.mp4", frames)
        folder = work / name / f"{MOVIE}-data"
        folder.mkdir(parents=True)
        (folder / "scene_changes.json").write_bytes(scene_changes_bytes(MOVIE, range(SHOT, frames, SHOT)))
        sound = make_sound(work / f"{name}.wav", args.minutes * 60 * times)
        program = [sys.executable, str(ROOT / "facerec" / "extract_features.py"), "--device", "cpu"]
        works = {
            "place": ["--features", f"place:{place}", "--out", str(work / name), str(film)],
            "audio_stft": ["--features", "audio_stft", "--out", str(work / name), str(sound)],
        }
        for feature, words in works.items():
            found[feature][name] = round(cost_of_program([*program, *words]).peak_mib, 1)
    return {
        feature: {"peak_mib": peak, "ratio": round(peak["long"] / peak["short"], 3)}
        for feature, peak in found.items()
    }


def make_sound(path: Path, seconds: int) -> Path:
    """Write noise, 16 kHz, mono."""
    generator = np.random.default_rng(0)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        for _ in range(seconds):
            file.writeframes(generator.integers(-9000, 9000, 16000).astype("<i2").tobytes())
    return path


def main() -> int:
    args = arguments().parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        measure = {"loop": loops, "network": networks, "memory": peaks}[args.part]
        table = measure(args, work)
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
