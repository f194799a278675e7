"""Count the people in each trajectory of films in which one face changes into another.

    python bench/switches.py PORTRAIT PORTRAIT [PORTRAIT …] [--detector NAME[:FILE] --embedder NAME[:FILE]]

Each portrait shows one other person. The film has a scene for every sequence of people (A to B, there and
back, all of them in turn), for every length of the dissolves between them, and for successive faces in one
place, near each other and apart (all in turn: in one place). In each frame the face moves, tilts and changes
its light a little. The scenes lie between black frames. All stages run on the film; the portraits are the
gallery, so that names are as confident as they can be.
Prints a Markdown table with a row for each sequence and each length of the dissolves:

stretches       stretches of the film that show one person
trajectories    trajectories of all its scenes
mixed           trajectories with frames of two or more people; blended frames belong to nobody
blended         trajectories of blended frames only: a dissolve's cut divides each face that is seen in it
wrong names     frames of a person that lie in a cluster with another person's name at p > 0.40
right names     frames of a person that lie in a cluster with this person's name, as a share
"""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a plain script: import from the repository's root, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import logging
import math
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from facerec import classify_knn, cluster, extract, merge_shards, prepare_actors
from facerec.actors.database import ActorDatabase
from facerec.errors import InputError
from facerec.folder.documents import DISPLAY_THRESHOLD, read_clusters, read_predictions
from facerec.folder.layout import MovieFolder
from facerec.folder.readers import read_trajectories
from facerec.geometry import Image
from facerec.models import load_detector
from facerec.support.cli import configure_logging, parser, run_main

WIDTH, HEIGHT, RATE = 320, 180, 25
FACE = 70  # pixels: height of a face
HOLD = 40  # frames that show one person alone
BLACK = 12  # frames between two scenes; more than a flash has, and than the tracker bridges
MOVIE = 5
DISSOLVES = (0, 8, 12, 24, 48)  # frames; 0 is a hard cut
DISTANCES = (0.0, 0.4, 1.6)  # of successive faces, in face heights: in one place, near, apart


@dataclass(frozen=True)
class Scene:
    """A sequence of people, each alone for `HOLD` frames, with dissolves between them.

    Attributes:
        label: the sequence, as the table names it.
        people: index of the portrait of each stretch.
        dissolve: length of the dissolves in frames.
        distance: of the faces of two successive stretches, in face heights.
    """

    label: str
    people: tuple[int, ...]
    dissolve: int
    distance: float

    @property
    def length(self) -> int:
        return len(self.people) * HOLD + (len(self.people) - 1) * self.dissolve

    def shown(self, frame: int) -> tuple[int, float]:
        """Return the stretch that a frame of the scene belongs to, and the share 0..1 of the next one."""
        stretch, within = divmod(frame, HOLD + self.dissolve)
        return stretch, max(0.0, (within - HOLD + 1) / (self.dissolve + 1))


def all_scenes(people: int, dissolves: Sequence[int] = DISSOLVES) -> list[Scene]:
    """Return every scene of the film."""
    kinds = {"A B": (0, 1), "A B A": (0, 1, 0)}
    if people > 2:
        kinds["A B C …"] = (*range(people), 0)
    scenes = []
    for label, shown in kinds.items():
        distances = DISTANCES if len(shown) < 4 else DISTANCES[:1]
        for dissolve in dissolves:
            for number, distance in enumerate(distances):
                turned = tuple((person + number) % people for person in shown)
                scenes.append(Scene(label, turned, dissolve, distance))
    return scenes


def portrait(path: Path, detector: str) -> Image:
    """Read a portrait, scaled to a face of `FACE` pixels in its centre: (2 * HEIGHT, 2 * WIDTH, 3) RGB."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path}: is not a picture")
    scale = min(1.0, 800 / max(bgr.shape))
    bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    rgb = np.ascontiguousarray(bgr[:, :, ::-1])
    found = load_detector(detector, device="cpu", min_face_size=40).detect([rgb])[0]
    if not len(found):
        raise InputError(f"{path}: no face was found")
    x1, y1, x2, y2 = max(found.boxes.tolist(), key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
    factor = FACE / (y2 - y1)
    matrix = np.array(
        [[factor, 0, WIDTH - factor * (x1 + x2) / 2], [0, factor, HEIGHT - factor * (y1 + y2) / 2]]
    )
    view = cv2.warpAffine(
        rgb, matrix, (2 * WIDTH, 2 * HEIGHT), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(view, np.uint8)


def view(picture: Image, stretch: int, frame: int, distance: float) -> NDArray[np.float32]:
    """Return the picture of one person in a frame of a scene, with small changes of pose and light."""
    t = frame / RATE + 1.7 * stretch
    side = (-1) ** stretch * distance * FACE / 2
    turned = cv2.getRotationMatrix2D((WIDTH, HEIGHT), 5 * math.sin(1.1 * t), 1 + 0.06 * math.sin(0.7 * t))
    turned[:, 2] += (side + 5 * math.sin(1.3 * t) - WIDTH / 2, 4 * math.sin(0.9 * t) - HEIGHT / 2)
    seen = cv2.warpAffine(
        picture, turned, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen * (1 + 0.12 * math.sin(0.8 * t)), np.float32)


def draw(scene: Scene, pictures: Sequence[Image]) -> Iterator[Image]:
    """Yield the frames of a scene."""
    for frame in range(scene.length):
        stretch, share = scene.shown(frame)
        image = view(pictures[scene.people[stretch]], stretch, frame, scene.distance)
        if share:
            after = view(pictures[scene.people[stretch + 1]], stretch + 1, frame, scene.distance)
            image = (1 - share) * image + share * after
        yield np.clip(image, 0, 255).astype(np.uint8)


def write_film(path: Path, scenes: Sequence[Scene], pictures: Sequence[Image]) -> None:
    """Encode the scenes, with black frames after each."""
    with av.open(str(path), "w") as container:
        options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        black = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * BLACK
        number = 0
        for scene in scenes:
            for image in (*draw(scene, pictures), *black):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode(None))


def write_database(folder: Path, portraits: Sequence[Path]) -> None:
    """Write an actor database with one portrait of each person; actor `a<i>` is person i."""
    database = ActorDatabase(folder)
    database.pictures.mkdir(parents=True)
    actors = ["movie_id,movie_name,movie_year,id,name,role,birthday,birthplace"]
    images = ["actor_id,movie_id,filename,n_detections"]
    for person, path in enumerate(portraits):
        (database.pictures / path.name).write_bytes(path.read_bytes())
        actors.append(f"{MOVIE},A film,2000,a{person},Person {person},Self,1970,Here")
        images.append(f"a{person},{MOVIE},{path.name},")
    database.actors.write_text("\n".join(actors) + "\n")
    database.images.write_text("\n".join(images) + "\n")


@dataclass
class Score:
    """What the table says of some scenes, see the module, and how many dissolves they have."""

    stretches: int = 0
    dissolves: int = 0
    trajectories: int = 0
    mixed: int = 0
    blended: int = 0
    frames: int = 0
    right: int = 0
    wrong: int = 0


def score(folder: MovieFolder, scenes: Sequence[Scene]) -> dict[tuple[str, int], Score]:
    """Compare the trajectories and names of a folder with the people of the scenes."""
    scene_of, person_of = [], []
    for number, scene in enumerate(scenes):
        shown = [scene.shown(frame) for frame in range(scene.length)]
        person_of += [-1 if share else scene.people[stretch] for stretch, share in shown] + [-1] * BLACK
        scene_of += [number] * (scene.length + BLACK)
    truth = np.array(person_of)
    found: dict[tuple[str, int], Score] = defaultdict(Score)
    for scene in scenes:
        row = found[scene.label, scene.dissolve]
        row.stretches += len(scene.people)
        row.dissolves += len(scene.people) - 1 if scene.dissolve else 0
    clusters = read_clusters(folder.clusters, MOVIE)
    predictions = read_predictions(folder.predictions, MOVIE)
    for trajectory in read_trajectories(folder.trajectories, MOVIE):
        scene = scenes[scene_of[trajectory.start]]
        row = found[scene.label, scene.dissolve]
        people = truth[trajectory.start : trajectory.end]
        people = people[people >= 0]
        row.trajectories += 1
        row.mixed += len(np.unique(people)) > 1
        row.blended += not len(people)
        row.frames += len(people)
        names = predictions[clusters[trajectory.index]]
        shown_names = [int(name[1:]) for name, p in names.items() if p > DISPLAY_THRESHOLD]
        for name in shown_names:
            row.right += int((people == name).sum())
            row.wrong += int((people != name).sum())
    return dict(found)


def run_stages(out: Path, film: Path, database: Path, models: Sequence[str]) -> MovieFolder:
    """Run all stages on the film."""
    prepare_actors.main(["--actor-db", str(database), *models])
    extract.main(["--out", str(out), "--min-face-size", "30", *models, str(film)])
    folder = MovieFolder.of_film(out, film)
    name_people(folder, database)
    return folder


def name_people(folder: MovieFolder, database: Path) -> None:
    """Run the stages after the extraction."""
    path = ["--path", str(folder.path)]
    merge_shards.main(path)
    cluster.main(path)
    classify_knn.main([*path, "--actor-db", str(database)])


def table(found: dict[tuple[str, int], Score]) -> Iterator[str]:
    """Yield the lines of the table."""
    yield "| people | dissolve | stretches | trajectories | mixed | blended | wrong names | right names |"
    yield "|---|---|---|---|---|---|---|---|"
    for (label, dissolve), row in found.items():
        right = f"{row.right / max(1, row.frames):.2f}"
        cells = (
            label,
            dissolve or "cut",
            row.stretches,
            row.trajectories,
            row.mixed,
            row.blended,
            row.wrong,
            right,
        )
        yield f"| {' | '.join(map(str, cells))} |"


def main(argv: Sequence[str] | None = None) -> int:
    made = parser(__doc__)
    made.add_argument(
        "portraits", type=Path, nargs="+", metavar="PORTRAIT", help="one picture of each person"
    )
    made.add_argument("--detector", default="mtcnn", metavar="NAME[:FILE]")
    made.add_argument("--embedder", default="dlib", metavar="NAME[:FILE]")
    made.add_argument(
        "--dissolves", type=int, nargs="+", default=DISSOLVES, metavar="FRAMES", help="0: a cut"
    )
    made.add_argument("--out", type=Path, metavar="DIR", help="keep the film and its folder here")
    args = made.parse_args(argv)
    configure_logging(args.verbose)
    logging.getLogger().setLevel(logging.ERROR)
    scenes = all_scenes(len(args.portraits), args.dissolves)
    with tempfile.TemporaryDirectory() as temporary:
        out = args.out or Path(temporary)
        out.mkdir(parents=True, exist_ok=True)
        film = out / f"{MOVIE}-Switches.mp4"
        write_film(film, scenes, [portrait(path, args.detector) for path in args.portraits])
        write_database(out / "actor_db", args.portraits)
        models = ["--detector", args.detector, "--embedder", args.embedder]
        folder = run_stages(out, film, out / "actor_db", models)
        print("\n".join(table(score(folder, scenes))))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(run_main(main))
