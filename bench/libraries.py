"""Compare the speed of `extract.py` with the documented loops of the libraries that provide its models.

    python bench/libraries.py FILM [--frames 60] [--rounds 3] [--yunet FILE --arcface FILE]

All use the same film, models, minimum face size and input size, and embed the faces of the same frames.
FaceNet and RetinaFace have random weights, which cost the same. The loops:

facenet_pytorch   OpenCV reads a frame, `MTCNN.detect` finds faces, `extract_face` crops each, and
                  `InceptionResnetV1` embeds it alone; against mtcnn + facenet and yunet + arcface
face_recognition  the video loop of that package on dlib's own classes: HOG detector on the frame at twice
                  its size, 68-point shape, 128 numbers; for comparison
predict_jsons     retinaface-pytorch, one frame at a time; against RetinaFace's `detect`, also in bfloat16

Runs are interleaved. Prints JSON: median seconds by the clock and of CPU, ratios (library / facerec), and
the share of the library's boxes that facerec has at IoU >= 0.9, with the least cosine between their
embeddings. On a busy machine set OMP_NUM_THREADS=1: the libraries' threads spin, so one core is fairer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from numpy.typing import NDArray

from bench.measure import Cost, cost, interleaved, random_weights
from bench.pipeline import stages
from facerec.geometry import iou
from facerec.settings import ExtractSettings
from facerec.support.limits import cpu_threads

THRESHOLD = 0.7  # default of facenet-pytorch and retinaface-pytorch
SAVE_EVERY = ExtractSettings.save_every


def arguments() -> argparse.ArgumentParser:
    """Build the argument parser."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("film", type=Path, help="named <movie_id>-Title.ext")
    made.add_argument("--frames", type=int, default=60, help="number of frames, from the start of the film")
    made.add_argument("--retinaface-frames", type=int, default=4, help="frames per run of RetinaFace")
    made.add_argument("--rounds", type=int, default=3, help="interleaved runs")
    made.add_argument("--min-face-size", type=int, default=ExtractSettings.min_face_size,
                      help="pixels")  # fmt: skip
    made.add_argument("--yunet", type=Path, help="ONNX file of YuNet; together with --arcface")
    made.add_argument("--arcface", type=Path, help="ONNX file of the embedder; together with --yunet")
    return made


def extraction(
    args: argparse.Namespace,
    detector: str,
    embedder: str,
    work: Path,
    threshold: float = THRESHOLD,
    save_every: int = SAVE_EVERY,
) -> tuple[int, Callable[[], Cost]]:
    """Return the number of frames, and a function that measures the whole of extraction."""
    settings = ExtractSettings(
        detector,
        embedder,
        min_face_size=args.min_face_size,
        face_threshold=threshold,
        save_every=save_every,
    )
    given = argparse.Namespace(frames=args.frames, device="cpu", faces=0)
    works = stages(settings, args.film, work / f"{detector.partition(':')[0]}-{save_every}", given)
    return works["frames"], works["whole"]


def frames_of(film: Path, count: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield numbered RGB frames, read by OpenCV."""
    import cv2

    capture = cv2.VideoCapture(str(film))
    for number in range(count):
        there, frame = capture.read()
        if not there:
            break
        yield number, cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    capture.release()


class FacenetLoop:
    """Documented loop of facenet-pytorch."""

    def __init__(self, weights: Path, min_face_size: int) -> None:
        import torch
        from facenet_pytorch import MTCNN, InceptionResnetV1

        self.mtcnn = MTCNN(keep_all=True, min_face_size=min_face_size, device="cpu")
        self.network = InceptionResnetV1(pretrained=None)
        state = torch.load(weights, weights_only=True)
        self.network.load_state_dict({k: v for k, v in state.items() if not k.startswith("logits.")})
        self.network.eval()
        self.least = min_face_size

    def run(self, frames: Iterator[tuple[int, NDArray[np.uint8]]]) -> dict[int, list[tuple[Any, Any]]]:
        """Return (box, embedding) of every face by frame; the embedding is None where faces are not saved."""
        import torch
        from facenet_pytorch.models.mtcnn import fixed_image_standardization
        from facenet_pytorch.models.utils.detect_face import extract_face

        found: dict[int, list[tuple[Any, Any]]] = {}
        for number, frame in frames:
            boxes, _ = self.mtcnn.detect(frame)
            found[number] = []
            for box in boxes if boxes is not None else ():
                box = np.clip(np.array(box, float), 0, [frame.shape[1], frame.shape[0]] * 2)
                if (box[2:] - box[:2]).min() < self.least:
                    continue
                vector = None
                if number % SAVE_EVERY == 0:
                    with torch.no_grad():
                        crop = fixed_image_standardization(extract_face(frame, box, 160, 14))
                        vector = torch.nn.functional.normalize(self.network(crop[None]))[0].numpy()
                found[number].append((box, vector))
        return found


def hog_loop() -> Callable[[Iterator[tuple[int, NDArray[np.uint8]]]], int]:
    """Return the video loop of face_recognition; it counts the faces found."""
    import dlib

    from facerec.models.weights import find_weights

    models = find_weights("dlib").paths[0].parent
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(models / "shape_predictor_68_face_landmarks.dat"))
    network = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))

    def run(frames: Iterator[tuple[int, NDArray[np.uint8]]]) -> int:
        count = 0
        for number, frame in frames:
            for face in detector(frame, 1):
                count += 1
                if number % SAVE_EVERY == 0:
                    network.compute_face_descriptor(frame, predictor(frame, face), 1)
        return count

    return run


def agreement(args: argparse.Namespace, loop: FacenetLoop, facenet: str) -> dict[str, float]:
    """Compute the share of the loop's boxes that facerec has at IoU >= 0.9, and the minimum cosine."""
    from facerec.models import load_detector, load_embedder
    from facerec.video.film import open_film, read_frames

    detector = load_detector(
        "mtcnn", device="cpu", min_face_size=args.min_face_size, face_threshold=THRESHOLD
    )
    embedder = load_embedder(facenet, device="cpu")
    cosines: list[float] = []
    boxes = 0
    for number, frame in read_frames(open_film(args.film), 0, args.frames):
        if number % SAVE_EVERY:
            continue
        ours = detector.detect([frame])[0]
        for box, vector in loop.run(iter([(number, frame)]))[number]:
            boxes += 1
            overlaps = iou(np.asarray(box), ours.boxes)
            if overlaps.max(initial=0) >= 0.9:
                best = int(overlaps.argmax())
                mine = embedder.embed([embedder.crop(frame, ours.boxes[best], ours.keypoints[best])])[0]
                cosines.append(float(mine @ vector))
    return {
        "boxes": boxes,
        "kept": round(len(cosines) / max(1, boxes), 4),
        "least_cosine": round(min(cosines, default=1.0), 5),
    }


def predict_jsons(weights: Path, frames: Sequence[NDArray[np.uint8]], device: str) -> Callable[[], Cost]:
    """Return a function that measures the loop of retinaface-pytorch over `frames`, at their own size."""
    import torch
    from retinaface.predict_single import Model

    library = Model(max_size=max(frames[0].shape[:2]), device=device)
    library.load_state_dict(torch.load(weights, weights_only=True))
    library.eval()
    return lambda: cost(
        lambda: [library.predict_jsons(frame, confidence_threshold=THRESHOLD) for frame in frames]
    )


def retinaface(args: argparse.Namespace, work: Path) -> dict[str, Callable[[], Cost]]:
    """Return functions that measure RetinaFace in facerec and in the library, at the frames' own size."""
    from facerec.models import load_detector

    weights = random_weights("retinaface", work)
    frames = [frame for _, frame in frames_of(args.film, args.retinaface_frames)]

    def ours(precision: str) -> Callable[[], Cost]:
        detector = load_detector(
            f"retinaface:{weights}",
            device="cpu",
            precision=precision,
            min_face_size=16,
            face_threshold=THRESHOLD,
        )
        return lambda: cost(lambda: detector.detect(frames))

    return {
        "retinaface": ours("float32"),
        "retinaface bfloat16": ours("bfloat16"),
        "predict_jsons": predict_jsons(weights, frames, "cpu"),
    }


def ratios(found: dict[str, Cost]) -> dict[str, dict[str, float]]:
    """Divide the time of each library by the time of facerec, by the clock and of CPU."""
    pairs = {
        "mtcnn + facenet": "facenet_pytorch",
        "yunet + arcface": "facenet_pytorch",
        "retinaface": "predict_jsons",
        "retinaface bfloat16": "predict_jsons",
    }
    return {
        f"{library} / {ours}": {
            "wall": round(found[library].wall_s / found[ours].wall_s, 2),
            "cpu": round(found[library].cpu_s / found[ours].cpu_s, 2),
        }
        for ours, library in pairs.items()
        if ours in found
    }


def main() -> int:
    args = arguments().parse_args()
    import torch

    torch.set_num_threads(cpu_threads())
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        weights = random_weights("facenet", work)
        loop, hog = FacenetLoop(weights, args.min_face_size), hog_loop()
        frames, ours = extraction(args, "mtcnn", f"facenet:{weights}", work)
        works = {
            "mtcnn + facenet": ours,
            "facenet_pytorch": lambda: cost(lambda: loop.run(frames_of(args.film, frames))),
        }
        if args.yunet and args.arcface:
            _, works["yunet + arcface"] = extraction(
                args, f"yunet:{args.yunet}", f"arcface:{args.arcface}", work
            )
        works["face_recognition"] = lambda: cost(lambda: hog(frames_of(args.film, frames)))
        works |= retinaface(args, work)
        torch.set_num_threads(cpu_threads())  # default of the libraries, in this thread
        found = interleaved(works, args.rounds)
        same = agreement(args, loop, f"facenet:{weights}")
    table = {
        "film": args.film.name,
        "frames": frames,
        "cores": cpu_threads(),
        "seconds": {name: one.rounded() for name, one in found.items()},
        "ratios": ratios(found),
        "mtcnn + facenet against facenet_pytorch": same,
    }
    sys.stdout.write(json.dumps(table, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
