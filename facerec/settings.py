"""The settings of extraction and merge and, once each, their defaults.

Imports nothing heavy: `--help` shows them at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError


@dataclass(frozen=True)
class ExtractSettings:
    """Settings of `extract.py`; a folder's shards must all have the same.

    Attributes:
        detector, embedder: model specs, `NAME` or `NAME:FILE`.
        save_every: frames; faces are saved and embedded where the frame's number is a multiple of it.
            Lower: more pictures and vectors a trajectory, more time.
        min_face_size: display pixels of a box's shorter side. Higher: fewer, better faces, less time.
        face_threshold: least score, 0 to 1; None: the detector's own. Higher: fewer false faces.
        detect_every: frames; faces are looked for where the frame's number is a multiple of it, and between
            two such frames a trajectory's boxes are interpolated. Higher: less time, fewer short
            appearances, less exact boxes.
        images: whether pictures are saved.
        precision: float32, or float16 or bfloat16, in which RetinaFace and FaceNet run several times as
            fast on a GPU and give nearly the same; the other models always compute in float32.
    """

    detector: str = "retinaface"
    embedder: str = "facenet"
    save_every: int = 5
    min_face_size: int = 20
    face_threshold: float | None = None
    images: bool = True
    precision: str = "float32"
    detect_every: int = 1


@dataclass(frozen=True)
class TrackSettings:
    """What counts as the same face; the defaults suit 24 to 60 frames a second.

    Attributes:
        iou_threshold: intersection over union, 0..1, from which two boxes of neighbouring frames are one
            face at first sight. Higher: fast faces wait for the later rounds, which look at motion and
            size; lower: more is linked over a cut that nobody noticed.
        max_gap: longest gap of missed frames inside a trajectory, in frames. Higher: fewer, longer
            trajectories, more of whose boxes are interpolated; lower: a face is split where it is missed.
        reach: standard deviations, of place and size together, by which a face that comes back may miss
            what was expected. Higher: sudden moves are followed; lower: trajectories split on them, and
            fewer take in a stranger. After one or two missed frames more is allowed, as no stranger is
            likely to have come.
    """

    iou_threshold: float = 0.4
    max_gap: int = 10
    reach: float = 3.2

    def __post_init__(self) -> None:
        if not 0 < self.iou_threshold <= 1:
            raise InputError(f"the IoU threshold must lie in 0..1, not at {self.iou_threshold}")
        if self.max_gap < 0:
            raise InputError(f"the longest gap of a trajectory is a number of frames, not {self.max_gap}")
        if not self.reach > 0:
            raise InputError(f"a face's reach is a positive number of deviations, not {self.reach}")


@dataclass(frozen=True)
class SplitSettings:
    """When a trajectory's faces say that the person changed. Distances are shares of the embedder's
    `same_person`.

    Attributes:
        min_faces: embedded faces that each side of a change must have. Higher: short slips onto another
            face go unseen; lower: a few bad faces may split a trajectory.
        stranger: median distance between the two sides from which they are two people. Higher: fewer splits.
        own: median distance within a side up to which it is one person. Lower: fewer splits.
    """

    min_faces: int = 3
    stranger: float = 1.05
    own: float = 0.8


@dataclass(frozen=True)
class KeepSettings:
    """Which trajectories the merge keeps.

    Attributes:
        min_trajectory: frames; shorter trajectories are dropped. Higher: fewer false faces, and fewer
            glimpses of real ones.
        min_face_size: display pixels; a trajectory whose largest box has a shorter side below this is
            dropped.
    """

    min_trajectory: int = 5
    min_face_size: int = 20

    def __post_init__(self) -> None:
        if self.min_trajectory < 1:
            raise InputError(f"the shortest trajectory is a number of frames, not {self.min_trajectory}")


@dataclass(frozen=True)
class ShowSettings:
    """Which two of a trajectory's saved faces annotators see.

    Attributes:
        apart: least distance of the two in time, above 0 and up to 1, as a share of the time between the
            first saved face and the last. Higher: the two differ more, and are less good. From a half on, one
            lies in each half, so that somebody who takes over in the middle is seen.
        step: of a face's quality, 0..1, below which nobody sees a difference; then the pair that lies
            farther apart is taken.
    """

    apart: float = 1 / 2
    step: float = 0.01


@dataclass(frozen=True)
class VectorSettings:
    """How the faces of a trajectory become one vector.

    Attributes:
        half_sharpness: variance of the Laplacian at which a face counts half. Higher: blurred faces count
            less beside sharp ones.
        half_size: pixels of the box's shorter side at which a face counts half.
        min_quality: worth, 0..1, below which a trajectory is too poor to be told from
            others: it joins no cluster and gets no name. Higher: purer clusters, more of them.
        outlier: median absolute deviations from the median distance beyond which a face is left out.
        least_spread: distance that always counts as one deviation, so that equal faces make no outliers.
        max_faces: the best so many faces of a trajectory are looked at; bounds time and memory.
    """

    half_sharpness: float = 8.0
    half_size: float = 32.0
    min_quality: float = 0.08
    outlier: float = 2.0
    least_spread: float = 0.05
    max_faces: int = 256


@dataclass(frozen=True)
class ClusterSettings:
    """Which trajectories are one person.

    Attributes:
        threshold: the distance at which two faces are as likely one person as two, as a share of the
            embedder's `same_person`. Lower: purer clusters, more of them.
        evidence: nats (see `linkage`) for one person against two from which two groups are joined, besides
            those that make up for a film's having about as many people as the root of its trajectories.
            Far above 0, because looks that are alike for another reason than the person (light, pose, blur)
            are no independent witnesses. Higher: purer clusters, more of them.
        strangers: share of the pairs of faces seen in one frame, who are strangers, that this may let
            through; more evidence is asked for where a film's strangers lie closer than elsewhere.
        most_evidence: how much may be asked for by that.
        reliability: likeness of two faces of great worth of one person, 0..1 between strangers and equal.
            Lower: more likeness is expected of nobody, so groups that are less alike are joined.
        half_worth: worth of a face of which half as much is expected.
        enough: precision (about as many good looks) beyond which more looks make a person no better known,
            because those of a scene err alike. Higher: people who look different in two scenes stay two.
        well_known: precision (about as many good looks) from which a cluster is somebody well known.
        recognised: nats for a small group's being somebody well known from which it is joined to the cluster;
            about 0, as few people are well known.
        margin: nats by which everybody else who is well known must be less likely.
        allow_same_frame: faces in one frame may be one person (mirrors, screens, split screens).
        max_size: trajectories on one page of the annotator; a larger cluster is split.
        same_box: intersection over union from which two boxes are one face found twice.
        max_gap: frames between two trajectories of one shot that may be one person's.
        max_shift: distance, in face sizes, between the end of the one and the beginning of the other.
        max_growth: ratio of their sizes.
        tolerance: by how much of `same_person` their distance may exceed it at the shortest gap; at the
            longest it may not exceed it at all.
    """

    threshold: float = 1.0
    evidence: float = 7.6
    strangers: float = 0.02
    most_evidence: float = 20.0
    reliability: float = 0.5
    half_worth: float = 0.12
    enough: float = 2.0
    well_known: float = 10.0
    recognised: float = 0.0
    margin: float = 3.0
    allow_same_frame: bool = False
    max_size: int = 100
    same_box: float = 0.5
    max_gap: int = 50
    max_shift: float = 0.8
    max_growth: float = 1.4
    tolerance: float = 0.12

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 2:
            raise InputError(f"the threshold is a share of the embedder's own distance, not {self.threshold}")
        if not 0 < self.reliability < 1:
            raise InputError(f"the likeness of one person's faces lies in 0..1, not at {self.reliability}")
        if self.max_size < 1:
            raise InputError(f"a cluster holds at least one trajectory, not {self.max_size}")


@dataclass(frozen=True)
class NamingSettings:
    """How sure a name must be. Distances are shares of the embedder's `same_person`.

    Attributes:
        k: nearest pictures of each actor whose mean odds count; an actor with fewer is judged by all.
            Higher: a wrong picture in the database does less harm, a rare pose is missed more often.
        softness: distance over which the odds of one person against two change by a factor of e.
            Lower: probabilities nearer 0 and 1.
        unknown: how much likelier, before any look, a face is of somebody who is not in the database than
            of a given actor; background faces, mostly. Higher: fewer names, fewer wrong ones.
        unknown_share: by how much that grows with every actor, as chance likenesses do.
    """

    k: int = 3
    softness: float = 0.06
    unknown: float = 10.0
    unknown_share: float = 0.5

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"a name needs at least one picture, not {self.k}")
        if self.softness <= 0 or self.unknown <= 0 or self.unknown_share < 0:
            raise InputError("softness and the weight of the unknown are positive")


@dataclass(frozen=True)
class LearnSettings:
    """Which confirmed faces become pictures of an actor.

    Attributes:
        per_actor: of one movie, so many faces of each actor at most. Higher: more looks of each, and one
            film's looks outweigh another's.
    """

    per_actor: int = 5

    def __post_init__(self) -> None:
        if self.per_actor < 0:
            raise InputError(f"the faces learnt of an actor are a number, not {self.per_actor}")


@dataclass(frozen=True)
class FaceSettings:
    """Which faces of a picture count.

    Attributes:
        max_side: pixels of the longer side to which larger pictures are shrunk; raising it finds
            smaller faces in large pictures and takes longer.
        min_share: height of the smallest face that counts, as a share of the picture's highest; lowering
            it refuses more pictures for a bystander far behind, raising it may overlook a second person.
        min_face_size, face_threshold: the detector's, as in `ExtractSettings`.
    """

    max_side: int = 1600
    min_share: float = 0.25
    min_face_size: int = ExtractSettings.min_face_size
    face_threshold: float | None = ExtractSettings.face_threshold

    def __post_init__(self) -> None:
        if self.max_side < 100:
            raise InputError(f"a picture shrunk to {self.max_side} pixels shows no face; give at least 100")
        if not 0 <= self.min_share <= 1:
            raise InputError(f"the least share of the highest face lies in 0..1, not at {self.min_share}")


@dataclass(frozen=True)
class ShotSettings:
    """When a change of picture is a cut. All but `min_shot` are PySceneDetect's defaults.

    Attributes:
        adaptive_ratio: how many times the mean change of its neighbours a cut's change is at least.
            Lower finds more cuts; camera movement and things that pass close by become cuts too.
        min_change: change of a cut, at least, in mean grey levels (0..255) a pixel. Lower finds cuts
            between similar pictures.
        window: neighbours on each side that the mean is taken over, in frames.
        min_shot: frames that a shot lasts at least; of two cuts closer than that the first counts.
            Below a third of a second a change back is more often a flash than a shot: of 3,180 shots
            of six television episodes 0.8 % are shorter than 8 frames.
    """

    adaptive_ratio: float = 3.0
    min_change: float = 15.0
    window: int = 2
    min_shot: int = 8
