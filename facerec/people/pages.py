"""Numbers the clusters of a film in the order in which annotators should work, one page for each.

The labeling backend shows one cluster a page, in the order of the ids. People of several trajectories come
first, those who are longest on screen before the others, as one confirmation names most of the film; then
single trajectories; last those of too low quality to compare, which no model can group or name. All pages
of one person lie side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facerec.people.plda import Floats, Ints
from facerec.settings import POOR_ON_PAGES, ClusterSettings


@dataclass(frozen=True)
class Pages:
    """The clusters of n trajectories as pages.

    Attributes:
        labels: (n,) int64, page of each trajectory, dense from 0, in the order of work.
        split: number of pages added by splitting people of more than `max_size` trajectories.
        poor: pages that trajectories of too little quality share, ascending. They are not one person, and two
            faces of one frame may be on one page.
    """

    labels: Ints
    split: int
    poor: tuple[int, ...]


def arrange_pages(
    people: Ints,
    vectors: Floats,
    usable: NDArray[np.bool_],
    frames: Ints,
    shots: Ints,
    settings: ClusterSettings | None = None,
) -> Pages:
    """Divide n trajectories, given in the order of time, into pages.

    Equally long on screen: by first trajectory. A person without a usable trajectory is too poor to compare.

    Args:
        people: (n,) person of each trajectory, dense from 0.
        vectors: (n, d), L2-normalised where usable.
        usable: (n,) bool, of enough quality to compare.
        frames: (n,) length of each trajectory, which is its time on screen.
        shots: (n,) number of its shot.
    """
    settings = settings or ClusterSettings()
    sizes = np.bincount(people)
    is_poor = np.bincount(people, usable) == 0
    category = np.where(is_poor, 2, np.where(sizes == 1, 1, 0))[people]  # poor, single, several
    shared = is_poor[people] & (settings.poor == POOR_ON_PAGES)
    person_of = np.where(shared, len(sizes), people)  # all shared pages side by side, as if of one person
    page_of = np.empty(len(people), np.int64)
    page_of[~shared] = _split_large(vectors[~shared], people[~shared], settings.max_size)
    split = len(np.unique(page_of[~shared])) - len(np.unique(people[~shared]))
    first_shared = int(page_of[~shared].max(initial=-1)) + 1
    page_of[shared] = first_shared + _fill_pages(shots[shared], settings.max_size)
    _, first, page_of = np.unique(page_of, return_index=True, return_inverse=True)
    page_frames = np.bincount(page_of, np.where(shared, 0, frames))  # shared pages stay in order of time
    _, first_of_person, person_of = np.unique(person_of, return_index=True, return_inverse=True)
    person = person_of[first]  # of each page
    person_frames = np.bincount(person_of, frames)
    order = np.lexsort(
        (first, -page_frames, first_of_person[person], -person_frames[person], category[first])
    )
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    labels = rank[page_of]
    return Pages(labels, split, tuple(np.unique(labels[shared]).tolist()))


def _fill_pages(shots: Ints, max_size: int) -> Ints:
    """(n,) page, from 0, of trajectories in the order of time, with at most `max_size` on each.

    A page ends with a shot where that leaves it at least half full.
    """
    page_of = np.empty(len(shots), np.int64)
    begin = page = 0
    while begin < len(shots):
        end = min(begin + max_size, len(shots))
        if end < len(shots):
            middle = begin + -(-max_size // 2)
            starts = np.flatnonzero(shots[middle : end + 1] != shots[middle - 1 : end]) + middle
            end = int(starts[-1]) if len(starts) else end
        page_of[begin:end] = page
        begin, page = end, page + 1
    return page_of


def _split_large(vectors: Floats, labels: Ints, max_size: int) -> Ints:
    """Split clusters of more than `max_size` into parts of about equal size, similar faces together."""
    labels = labels.copy()
    free_label = int(labels.max(initial=-1)) + 1
    order = np.argsort(labels, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        stack = [members]
        while stack:
            part = stack.pop()
            if len(part) <= max_size:
                continue
            pages = -(-len(part) // max_size)
            middle = len(part) * (pages // 2) // pages
            along = part[np.argsort(_principal_coordinates(vectors[part]), kind="stable")]
            left, right = np.sort(along[:middle]), np.sort(along[middle:])
            labels[right] = free_label
            free_label += 1
            stack += [left, right]
    return labels


def _principal_coordinates(vectors: Floats) -> NDArray[np.float64]:
    """(n,) coordinates of the rows along their first principal component; its sign makes the first ≤ 0."""
    centred = (vectors - vectors.mean(0)).astype(np.float64)
    along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    return np.asarray(-along if along[0] > 0 else along)
