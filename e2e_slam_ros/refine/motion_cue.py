"""The known depth of a keyframe before any scale is known: measured, or from known motion."""

from __future__ import annotations

from dataclasses import dataclass, replace

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.motion_evidence import MotionEvidenceConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.refine.motion_sweep import MotionSweep, sweep_neighbours
from e2e_slam_ros.refine.views import SparseLabels

# Other keyframes whose depth is projected into the one that is worked on.
_SEEN_AGAIN = 7


@dataclass(frozen=True, eq=False)
class DepthCue:
    """Known depth of some pixels of a keyframe.

    Attributes:
        labels: pixels of known depth, metres; None: there are none.
        sweep: the plane sweep that gave them; None: they were measured, or there are none.

    Example:
        >>> DepthCue().labels is None
        True
    """

    labels: SparseLabels | None = None
    sweep: MotionSweep | None = None


def measured_cue(keyframe: Keyframe, depth: DepthConfig) -> DepthCue:
    """Return the keyframe's measured depth within range."""
    if keyframe.sensor_depth is None:
        return DepthCue()
    gated = gate_depth(keyframe.sensor_depth, depth)
    return DepthCue(SparseLabels(gated, (gated > 0).to(gated)))


def motion_cue(
    keyframe: Keyframe,
    views: KeyframeViews,
    depth: DepthConfig,
    motion: MotionEvidenceConfig,
    typical_m: float | None,
    with_between: bool,
) -> DepthCue:
    """Return the depth that a plane sweep over the views around a keyframe gives.

    Args:
        keyframe: whose depth is wanted.
        views: the memory of keyframes.
        depth: range and planes.
        motion: weights, number of views.
        typical_m: median depth, metres; None: unknown.
        with_between: also use camera frames between keyframes.
    """
    if not with_between:
        motion = replace(motion, between=0)
    # Frames just before the keyframe see most of it; keyframes see it from farther away.
    between = list(views.between(keyframe, motion.between))
    count = max(1, motion.neighbours - len(between))
    before = views.before(keyframe, count, motion.min_baseline_m)
    after = views.after(keyframe, motion.neighbours, motion.min_baseline_m)
    elsewhere = views.around(keyframe, _SEEN_AGAIN) if motion.earlier > 0 else []
    sources = [*between, *(other.keyframe for other in (*before, *after))]
    sweep = sweep_neighbours(keyframe, sources, depth, motion, elsewhere, typical_m)
    if sweep is None:
        return DepthCue()
    camera = keyframe.camera
    return DepthCue(sweep.first.labels(camera.height, camera.width), sweep)
