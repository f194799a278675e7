"""Measure whether the memory of extraction grows with the length of the film.

    python bench/memory.py [--frames 2000] [--times 10] [--detector yunet:FILE] [--embedder arcface:FILE]

Makes a small film and one that is --times as long, with a face in every frame and a cut every ten seconds,
and extracts each in a process of its own. Prints JSON: the peak resident MiB of both and their ratio, which
should be at most 1.05.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.measure import ROOT, cost_of_program

WIDTH, HEIGHT = 160, 120
SHOT, GROUNDS = 250, (90, 220)  # frames per shot; gray levels of the background


def make_film(path: Path, frames: int) -> Path:
    """Write a film of a moving face; the background changes with each shot."""
    import av
    import cv2
    import numpy as np
    from skimage import data

    face = cv2.resize(data.astronaut()[0:200, 130:330], (110, 110), interpolation=cv2.INTER_AREA)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(frames):
            image = np.full((HEIGHT, WIDTH, 3), GROUNDS[number // SHOT % 2], np.uint8)
            left = abs(number % 80 - 40)
            image[5:115, left : left + 110] = face
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=2000, help="frames of the short film")
    parser.add_argument("--times", type=int, default=10, help="length of the long film / short film")
    parser.add_argument("--detector", default="mtcnn")
    parser.add_argument("--embedder", default="dlib")
    parser.add_argument("--save-every", type=int, default=5, help="frames")
    args = parser.parse_args()
    peaks = {}
    with tempfile.TemporaryDirectory() as temporary:
        for movie, frames in enumerate((args.frames, args.frames * args.times), start=1):
            film = make_film(Path(temporary) / f"{movie}-made.mp4", frames)
            models = ["--detector", args.detector, "--embedder", args.embedder]
            command = [sys.executable, str(ROOT / "facerec" / "extract.py"), *models, "--out", temporary]
            command += ["--save-every", str(args.save_every), str(film)]
            peaks[frames] = round(cost_of_program(command).peak_mib, 1)
    small, large = peaks.values()
    sys.stdout.write(json.dumps({"peak_mib": peaks, "ratio": round(large / small, 3)}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
