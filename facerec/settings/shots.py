"""Settings of the search for cuts and gradual transitions."""

from __future__ import annotations

from dataclasses import dataclass

from facerec.errors import InputError

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
        max_shared_parts, max_shared_in_extent: maximum share of the picture that may stay through the window
            that a gradual transition lies in, and through itself. Higher: a title that appears may become
            one.
        min_left_by_motion, min_left_in_extent, min_left_in_steps: minimum share of its changes that motion
            does not explain: over thirds of the window that it lies in, over its own thirds and over its
            single frames. Higher: fewer whip pans, zooms and growing pictures become transitions, and
            transitions between moving pictures are lost.
        max_badness: maximum of what speaks against a gradual transition: the error of its mix, changes on its
            sides and similar ends. Higher: more of them, also false ones between moving pictures.
        pure_share: share of the other shot up to which a frame is of one shot alone; sets the extent.
        wipe_ratio: how many times smaller than the error of a dissolve that of a wipe must be. Higher: fewer
            gradual transitions are called wipes.
        abrupt: frames below which a gradual transition needs calm sides and a clear mix. Higher: fast motion
            is taken for a short dissolve less often, and short dissolves are lost.
        max_abrupt_side, max_abrupt_error: what those sides may change, and the error of that mix, as shares
            of the transition's change.
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
    max_shared_in_extent: float = 0.2
    min_left_by_motion: float = 0.6
    min_left_in_extent: float = 0.57
    min_left_in_steps: float = 0.35
    max_badness: float = 0.53
    pure_share: float = 0.06
    wipe_ratio: float = 1.6
    abrupt: int = 4
    max_abrupt_side: float = 0.3
    max_abrupt_error: float = 0.12

    def __post_init__(self) -> None:
        if self.shots not in SHOT_METHODS:
            raise InputError(f"shots must be {', '.join(SHOT_METHODS)}, not {self.shots!r}")
        if not 1 < self.adaptive_ratio < float("inf") or self.min_shot < 1:
            raise InputError(
                f"the ratio of a cut must be above 1 and the shortest shot at least 1 frame, not "
                f"{self.adaptive_ratio} and {self.min_shot}"
            )
