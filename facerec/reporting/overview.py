"""Summarise a finished movie folder by cluster: likely names, time on screen, thumbnails."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from fractions import Fraction

from facerec.actors.cast import allowed_names
from facerec.folder.documents import read_clusters, read_predictions, read_scene_changes, shown_actor
from facerec.folder.images import thumbnail_tags
from facerec.folder.layout import MovieFolder
from facerec.folder.manifest import read_manifest, recorded_missing, recorded_poor_pages, recorded_warnings
from facerec.folder.plan import format_ranges, read_plan
from facerec.folder.readers import read_trajectories
from facerec.folder.records import Trajectory

Span = tuple[int, int]  # frames [beg, end)


@dataclass(frozen=True)
class ClusterView:
    """One cluster of a movie.

    Attributes:
        id: as in clusters.json.
        names: actor id and probability, the most likely first.
        trajectories: in the order of trajectories.jsonl.
        thumbnails: for each trajectory the tags of its thumbnails, by frame.
        poor: a page that trajectories too poor to compare share; it is not one person.
    """

    id: int
    names: tuple[tuple[str, float], ...]
    trajectories: tuple[Trajectory, ...]
    thumbnails: tuple[tuple[str, ...], ...]
    poor: bool = False

    @property
    def name(self) -> str | None:
        """The most likely actor id; None where annotators see no name, or two that are equally likely."""
        shown = shown_actor(dict(self.names))
        return shown[0] if shown else None

    @property
    def spans(self) -> list[Span]:
        """Frames in which the cluster is on screen, as disjoint ascending spans."""
        return _union((t.start, t.end) for t in self.trajectories)

    @property
    def frames(self) -> int:
        """Number of frames in which the cluster is on screen."""
        return sum(end - beg for beg, end in self.spans)

    @property
    def shown(self) -> list[str]:
        """Tags of the thumbnails that annotators see: the first and the last of each trajectory."""
        return [tag for tags in self.thumbnails for tag in dict.fromkeys((*tags[:1], *tags[-1:]))]


@dataclass(frozen=True)
class Overview:
    """A movie and its clusters.

    Attributes:
        film: file name of the film; without a plan, name of the folder.
        frames: length of the film; without a plan, up to the end of the last trajectory.
        frame_rate: frames per second; None without a plan.
        cuts: first frame of each new shot.
        clusters: in the order of their ids.
        missing_shards: shards that the merge was allowed to leave out, as "1-2 of 8", or empty.
        warnings: signs that the detector is broken, as sentences.
    """

    movie_id: int
    film: str
    frames: int
    frame_rate: Fraction | None
    cuts: list[int]
    clusters: tuple[ClusterView, ...]
    missing_shards: str = ""
    warnings: tuple[str, ...] = ()


def read_overview(folder: MovieFolder, unnamed: Container[str] = ()) -> Overview:
    """Read the overview of a folder in which all stages have run.

    Args:
        unnamed: ids of actors who must not be named.

    Raises:
        ContractError: a file is missing or breaks the contract.
    """
    trajectories = read_trajectories(folder.trajectories, folder.movie_id)
    labels = read_clusters(folder.clusters, folder.movie_id, len(trajectories))
    names = read_predictions(folder.predictions, folder.movie_id, len(set(labels)))
    thumbnails = thumbnail_tags(folder, trajectories)
    members: dict[int, list[Trajectory]] = {cluster: [] for cluster in names}
    for trajectory, label in zip(trajectories, labels, strict=True):
        members[label].append(trajectory)
    manifest = read_manifest(folder)
    shared = recorded_poor_pages(manifest)
    clusters = tuple(
        ClusterView(
            cluster,
            tuple(
                sorted(
                    allowed_names(names[cluster], unnamed).items(),
                    key=lambda item: -item[1],
                )
            ),
            tuple(members[cluster]),
            tuple(thumbnails[trajectory.index] for trajectory in members[cluster]),
            cluster in shared,
        )
        for cluster in sorted(members)
    )
    plan = read_plan(folder)
    holes = recorded_missing(manifest, plan) if plan else set()
    return Overview(
        folder.movie_id,
        plan.film["name"] if plan else folder.path.name,
        plan.frame_count if plan else max((t.end for t in trajectories), default=0),
        Fraction(plan.video["frame_rate"]) if plan else None,
        read_scene_changes(folder.scene_changes, folder.movie_id),
        clusters,
        f"{format_ranges(holes)} of {plan.n}" if plan and holes else "",
        tuple(recorded_warnings(manifest)),
    )


def _union(spans: Iterable[Span]) -> list[Span]:
    """Join overlapping and adjacent spans."""
    joined: list[Span] = []
    for beg, end in sorted(spans):
        if joined and beg <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((beg, end))
    return joined
