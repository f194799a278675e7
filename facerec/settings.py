"""The settings of every stage and their default values, one class per stage.

The standard library only, so that `--help` stays fast. manifest.json records settings under the names of
their fields.
"""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError

# Version of the code that computes shards and the embeddings of actors. Raise it with a change that alters
# any of their bytes, not with every release: an unfinished film of another version is refused, and the
# pictures of actors are embedded again.
RESULTS_VERSION = 2


@dataclass(frozen=True)
class ExtractSettings:
    """Settings of `extract.py`; all shards of a folder must have the same.

    Attributes:
        detector, embedder: model specs, `NAME` or `NAME:FILE`.
        save_every: save and embed the faces of frames whose number is a multiple of this. Lower: more
            thumbnails and embeddings per trajectory, more time.
        min_face_size: minimum shorter side of a saved face's box, in display pixels. Higher: fewer, better
            faces, less time.
        min_box_size: minimum shorter side of any box, in display pixels; `smallest_box(min_face_size)`. A
            face between the two sizes is followed but not saved: it belongs to a trajectory that is larger
            at another time.
        face_threshold: smallest detection score, 0 to 1; None: the detector's default. Higher: fewer
            false faces, more missed ones.
        images: whether thumbnails are saved.
        precision: float32, float16 or bfloat16, in which RetinaFace and FaceNet compute; all other models
            compute in float32. On a GPU the last two are several times as fast, with nearly the same results.
        detect_every: run the detector on frames whose number is a multiple of this; boxes of the frames
            between are interpolated. Higher: less time, less exact boxes, short appearances are missed.
        tiles: whether frames larger than the detector's input are also looked at in overlapping tiles, for
            detectors with an input of fixed size: finds faces of `min_face_size` in films of 1080 and 2160
            lines, and takes a multiple of the time.
    """

    detector: str = "retinaface"
    embedder: str = "facenet"
    save_every: int = 5
    min_face_size: int = 20
    min_box_size: int = 10
    face_threshold: float | None = None
    images: bool = True
    precision: str = "float32"
    detect_every: int = 1
    tiles: bool = False


def smallest_box(min_face_size: int) -> int:
    """Return the `min_box_size` for a minimum size of faces, both in display pixels.

    Half of it: the detectors find such faces without a finer scale of the frames, so at no cost. Not below 8
    pixels, where most boxes are no faces.
    """
    return min(min_face_size, max(8, min_face_size // 2))


AUTO = "auto"  # a value that follows from the film or the device


def face_size(text: str, frame: tuple[int, int]) -> int:
    """Return a minimum size of faces in display pixels.

    Args:
        text: pixels (`20`), a share of the frame's shorter side, mostly its height (`2%`), or `auto`: 20
            pixels in frames of up to 1080 lines, and the same share of larger ones.
        frame: width and height of the frame in display pixels.

    Raises:
        InputError: `text` is none of these, or less than a pixel.
    """
    if text == AUTO:
        return max(ExtractSettings.min_face_size, round(min(frame) * ExtractSettings.min_face_size / 1080))
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        value = float(number) if percent else int(number)
    except ValueError:
        value = float("nan")
    if percent and 0 < value <= 100:
        return max(1, round(min(frame) * value / 100))
    if not percent and value >= 1:
        return int(value)
    raise InputError(
        f"--min-face-size {text}: must be at least 1 pixel, as in 20, or a share of the height, as in 2%"
    )


RULE, TRANSNET, BOTH = SHOT_METHODS = ("rule", "transnetv2", "both")


@dataclass(frozen=True)
class ShotSettings:
    """Where one shot becomes the next. Distances are mean grey levels (0..255) of pictures in equal light.

    The defaults were chosen on made films, see `bench/shots.py`. Docs: `docs/shots.md`.

    Attributes:
        shots: `rule`; `transnetv2`, a network; or `both`, the network where the rule is in doubt.
        adaptive_ratio: minimum ratio of a hard cut's distance to the mean of the frames around it, times its
            unlikeness. Lower: more cuts, but fast motion becomes cuts too.
        min_change: minimum distance of a hard cut. Lower: finds cuts between dark or similar pictures.
        min_unlikeness: minimum distance of a hard cut as a share of the pictures' contrast, 0..1.
        window: frames on each side that the mean is taken over. Higher: adapts more slowly.
        min_shot: of hard cuts closer than this many frames the largest counts. Higher: fewer short shots.
        max_flash: maximum length in frames of a flash or of an object before the lens. Higher: shots of that
            length between two of one scene are lost.
        max_return: distance across a flash, as a share of the cut's, below which it is one. Higher: more are.
        min_gradual_change, min_gradual_unlikeness: as for hard cuts, of the two ends of a gradual transition.
            Lower: more of them, but motion becomes one too.
        max_dissolve_error, max_wipe_error: what a mix of the ends may leave unexplained, as a share of their
            difference. Higher: finds transitions between moving pictures, and more false ones.
        wipe_noise: how much of the change from frame to frame around is added to `max_wipe_error`.
        max_step: maximum share of a gradual transition that happens within one sampled step.
        max_fall: maximum sum of the steps backwards.
        max_side_change: how much the calmer side of a gradual transition may change, as a share of it.
        max_return_gradual: as `max_return`, of pictures within a second around a gradual transition.
        max_flat_contrast: contrast in grey levels below which a picture is flat, as in the middle of a fade.
        max_shared_parts: maximum share of the picture that may stay through a gradual transition.
        min_left_by_motion, min_left_in_steps: minimum share of its changes that motion does not explain, over
            thirds of it and over single frames. Higher: fewer whip pans and zooms become transitions, and
            transitions between moving pictures are lost.
    """

    shots: str = RULE
    adaptive_ratio: float = 2.0
    min_change: float = 8.0
    min_unlikeness: float = 0.4
    window: int = 2
    min_shot: int = 4
    max_flash: int = 6
    max_return: float = 0.6
    min_gradual_change: float = 12.0
    min_gradual_unlikeness: float = 0.7
    max_dissolve_error: float = 0.25
    max_wipe_error: float = 0.1
    wipe_noise: float = 0.8
    max_step: float = 0.62
    max_fall: float = 0.25
    max_side_change: float = 0.45
    max_return_gradual: float = 0.65
    max_flat_contrast: float = 6.0
    max_shared_parts: float = 0.15
    min_left_by_motion: float = 0.6
    min_left_in_steps: float = 0.35

    def __post_init__(self) -> None:
        if self.shots not in SHOT_METHODS:
            raise InputError(f"shots must be {', '.join(SHOT_METHODS)}, not {self.shots!r}")
        if self.adaptive_ratio <= 1 or self.min_shot < 1:
            raise InputError(
                f"the ratio of a cut must be above 1 and the shortest shot at least 1 frame, not "
                f"{self.adaptive_ratio} and {self.min_shot}"
            )


@dataclass(frozen=True)
class TrackSettings:
    """Which detections the tracker links; the defaults suit 24 to 60 frames per second.

    Attributes:
        iou_threshold: intersection over union, 0..1, from which boxes of adjacent frames are linked in the
            first round. Higher: fast faces are left to the later rounds, which use motion and size; lower:
            more false links, most of all across cuts that were not found.
        max_gap: maximum number of consecutive missed frames inside a track. Higher: fewer, longer tracks,
            with more interpolated boxes; lower: tracks split where a face is missed.
        gate_sigma: gate of a link across a gap: how far position and size together may be from the
            prediction, in standard deviations. Higher: sudden motion is followed; lower: tracks split
            there, and fewer mix two people. The tracker widens the gate after gaps of one or two frames.
    """

    iou_threshold: float = 0.4
    max_gap: int = 10
    gate_sigma: float = 3.2

    def __post_init__(self) -> None:
        if not 0 < self.iou_threshold <= 1:
            raise InputError(f"iou_threshold must be above 0 and at most 1, not {self.iou_threshold}")
        if self.max_gap < 0:
            raise InputError(f"max_gap must be at least 0 frames, not {self.max_gap}")
        if not self.gate_sigma > 0:
            raise InputError(f"gate_sigma must be above 0 (standard deviations), not {self.gate_sigma}")


@dataclass(frozen=True)
class SplitSettings:
    """When the embeddings of a track show two people. Distances are multiples of `same_person`.

    Attributes:
        min_faces: minimum number of embedded faces of a person between two changes. Higher: short identity
            switches are missed; lower: a few bad faces may split a track.
        min_between: minimum median distance between the faces before a change and those after it. Higher:
            fewer splits.
        max_within: largest median distance of two faces between two changes. Lower: fewer splits.
    """

    min_faces: int = 3
    min_between: float = 1.0
    max_within: float = 0.8

    def __post_init__(self) -> None:
        if self.min_faces < 1:
            raise InputError(f"min_faces must be at least 1, not {self.min_faces}")


@dataclass(frozen=True)
class KeepSettings:
    """Which tracks the merge keeps.

    Attributes:
        min_trajectory: minimum length in frames. Higher: fewer false faces, fewer short appearances.
        min_face_size: minimum shorter side of a track's largest box, in display pixels. Higher: larger faces.
    """

    min_trajectory: int = 5
    min_face_size: int = 20

    def __post_init__(self) -> None:
        if self.min_trajectory < 1:
            raise InputError(f"min_trajectory must be at least 1 frame, not {self.min_trajectory}")


@dataclass(frozen=True)
class ThumbnailSettings:
    """Which two thumbnails of a trajectory annotators see.

    Attributes:
        min_separation: minimum time between the two, above 0 and up to 1, as a share of the time between the
            first saved face and the last. Higher: the two differ more, but have less quality. From 0.5 on
            they come from different halves, so that a change of person in the middle is seen.
        quality_step: qualities are rounded to multiples of this, 0..1; of equal pairs the one farther apart
            is chosen. Higher: separation counts for more, quality for less.
    """

    min_separation: float = 0.5
    quality_step: float = 0.01


@dataclass(frozen=True)
class VectorSettings:
    """How the embeddings of a trajectory become one vector, and how much quality a face has.

    Attributes:
        half_sharpness: variance of the Laplacian that halves a face's quality. Higher: blur counts for more.
        half_size: shorter side of a box, in pixels, that halves a face's quality. Higher: size counts for
            more.
        min_quality: minimum quality, 0..1, of a trajectory that is compared with others; one below joins no
            cluster and gets no name. Higher: purer clusters, more of them.
        outlier_deviations: a face is left out when its distance from the medoid exceeds the median distance
            by more than this many standard deviations, estimated from the median absolute deviation. Lower:
            more faces are left out.
        min_deviation: lower bound of that standard deviation, a distance; without it nearly equal faces
            would make outliers of each other. Higher: fewer faces are left out.
        max_faces: maximum number of faces used per trajectory, those of highest quality; bounds time and
            memory.
    """

    half_sharpness: float = 8.0
    half_size: float = 32.0
    min_quality: float = 0.08
    outlier_deviations: float = 2.0
    min_deviation: float = 0.05
    max_faces: int = 256


PLDA, HDBSCAN = METHODS = ("plda", "hdbscan")  # of clustering
POOR_ON_PAGES, POOR_ALONE = POOR = ("pages", "alone")  # trajectories of too low quality to compare


@dataclass(frozen=True)
class ClusterSettings:
    """Which trajectories are one person. Log-likelihood ratios are in nats, one person against two.

    Attributes:
        method: `plda`, agglomeration by log-likelihood ratios, or `hdbscan`, by density.
        threshold: distance at which two faces are as likely one person as two, as a multiple of the
            embedder's `same_person`. Lower: purer clusters, more of them.
        min_log_likelihood_ratio: minimum ratio for two groups to be joined, to which half the logarithm of
            the number of trajectories is added. Well above 0, because observations that share light, pose
            or blur are not independent. Higher: purer clusters, more of them.
        false_link_rate: the minimum ratio is raised until at most this share of the pairs seen in one frame
            is above it. Lower: purer clusters in films in which all faces are similar.
        max_log_likelihood_ratio: the minimum ratio is not raised above this. Lower: fewer clusters in such
            films.
        max_reliability: reliability, 0..1, of a face of perfect quality in the PLDA model. Lower: more
            variation within a person is expected, so less similar groups are joined.
        half_quality: quality that halves the reliability. Higher: poor faces count less.
        max_precision: upper limit of a group's precision (about the number of good observations), because
            those of one scene share their errors. Higher: a person who looks different in two scenes stays
            two clusters.
        core_precision: minimum precision of a core cluster, to which small ones are attached. Higher: fewer.
        attach_log_likelihood_ratio: minimum ratio for a small cluster to be attached to a core cluster;
            about 0, as there are few core clusters. Higher: fewer are attached.
        attach_margin: minimum lead over the second-best core cluster. Higher: fewer are attached.
        allow_same_frame: faces in one frame may be one person (mirrors, screens, split screens).
        hdbscan_epsilon: with `hdbscan`, distance below which two clusters are one, as a share of
            `same_person`. Higher: fewer clusters, which mix people from about 0.75 on.
        max_size: maximum number of trajectories in a cluster; a larger one is split, to fit on a page of the
            labeling backend.
        poor: where trajectories of too low quality go: `pages`, shared ones of at most `max_size`, or
            `alone`, one cluster for each.
        duplicate_iou: median intersection over union from which two boxes are one face detected twice.
            Higher: more pairs cannot be linked.
        max_gap: maximum number of frames between two trajectories of one shot that may continue each other.
        max_shift: maximum distance between the end of one and the start of the other, in face sizes.
        max_size_ratio: maximum ratio of their face sizes.
        tolerance: share of `same_person` by which the distance of a continuation may exceed it at a gap of
            0, decreasing to 0 at `max_gap`. Raising one of these four joins more continuations.
    """

    method: str = PLDA
    threshold: float = 1.0
    min_log_likelihood_ratio: float = 7.6
    false_link_rate: float = 0.02
    max_log_likelihood_ratio: float = 20.0
    max_reliability: float = 0.5
    half_quality: float = 0.12
    max_precision: float = 2.0
    core_precision: float = 10.0
    attach_log_likelihood_ratio: float = 0.0
    attach_margin: float = 3.0
    allow_same_frame: bool = False
    hdbscan_epsilon: float = 0.65
    max_size: int = 100
    poor: str = POOR_ON_PAGES
    duplicate_iou: float = 0.5
    max_gap: int = 50
    max_shift: float = 0.8
    max_size_ratio: float = 1.4
    tolerance: float = 0.12

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"the clustering method must be {' or '.join(METHODS)}, not {self.method!r}")
        if self.poor not in POOR:
            raise InputError(f"poor must be {' or '.join(POOR)}, not {self.poor!r}")
        if not 0 < self.threshold < 2:
            raise InputError(f"the clustering threshold must be above 0 and below 2, not {self.threshold}")
        if not 0 < self.max_reliability < 1:
            raise InputError(f"max_reliability must be between 0 and 1, not {self.max_reliability}")
        if self.max_size < 1:
            raise InputError(f"max_size must be at least 1 trajectory, not {self.max_size}")


@dataclass(frozen=True)
class NamingSettings:
    """How clusters are named. Distances are multiples of the embedder's `same_person`.

    Attributes:
        k: least number of nearest pictures of each actor whose odds are averaged; all if an actor has fewer.
            Higher: a wrong picture in the database does less harm, a rare pose is missed more
            often.
        share: share of an actor's pictures, the nearest, whose odds are averaged where it is more than `k`.
            Lower: a rare pose of an actor with many pictures is named more often, and so are strangers;
            at 0.9 as many strangers are named with twenty pictures an actor as with three.
        temperature: change of distance that changes the odds by a factor of e. Lower: probabilities
            nearer to 0 and 1.
        unknown_odds: prior odds of a person who is not in the database (most are extras) against one given
            actor. Higher: fewer names, fewer wrong ones.
        unknown_odds_per_actor: added to these for every actor, as larger casts have more chance matches.
            Higher: fewer names in large casts.
        year_half_life: years after which a picture counts half, before or after the film's year; of pictures
            with a year. Lower: an actor who has changed is named more often by pictures of the time, and less
            often if the few near pictures are poor; infinite: all pictures count alike.
    """

    k: int = 3
    share: float = 0.9
    temperature: float = 0.06
    unknown_odds: float = 10.0
    unknown_odds_per_actor: float = 0.5
    year_half_life: float = 20.0

    def __post_init__(self) -> None:
        if not self.year_half_life > 0:
            raise InputError(f"the half-life of pictures must be above 0 years, not {self.year_half_life}")
        if self.k < 1:
            raise InputError(f"k must be at least 1 picture, not {self.k}")
        if not 0 < self.share <= 1:
            raise InputError(
                f"the share of an actor's pictures must be above 0 and at most 1, not {self.share}"
            )
        if self.temperature <= 0 or self.unknown_odds <= 0 or self.unknown_odds_per_actor < 0:
            raise InputError("the temperature and the odds of an unknown person must be above 0")


@dataclass(frozen=True)
class GallerySettings:
    """Which faces of an actor's picture count; actor_embeddings.meta.json records them.

    Attributes:
        max_side: larger pictures are shrunk to this longer side, in pixels. Higher: finds smaller faces in
            large pictures, takes longer.
        min_share: minimum height of a face as a share of the picture's highest face. Lower: more pictures are
            refused for a bystander in the background; higher: a second person may be overlooked.
        min_face_size, face_threshold: of the detector, see `ExtractSettings`.
    """

    max_side: int = 1600
    min_share: float = 0.25
    min_face_size: int = ExtractSettings.min_face_size
    face_threshold: float | None = ExtractSettings.face_threshold

    def __post_init__(self) -> None:
        if self.max_side < 100:
            raise InputError(f"max_side must be at least 100 pixels, not {self.max_side}")
        if not 0 <= self.min_share <= 1:
            raise InputError(f"min_share must be between 0 and 1, not {self.min_share}")


@dataclass(frozen=True)
class LearnSettings:
    """Which confirmed faces become pictures of an actor.

    Attributes:
        per_actor: maximum number of faces learnt per actor and movie. Higher: more variety, but one film may
            outweigh the others.
    """

    per_actor: int = 5

    def __post_init__(self) -> None:
        if self.per_actor < 0:
            raise InputError(f"per_actor must be at least 0 faces, not {self.per_actor}")
