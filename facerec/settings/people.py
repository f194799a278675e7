"""Settings of people: face quality, clusters and names."""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError


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
        k: least number of pictures of each actor, the nearest, that are averaged; all if an actor has fewer.
            Higher: a wrong picture in the database does less harm, a rare pose is missed more
            often.
        share: share of an actor's pictures, the nearest, that are averaged where it is more than `k`.
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
            often if the few near pictures are poor; infinite: all pictures count the same.
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
