"""The result of mapping one keyframe."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.data.keyframe import DepthEstimate, FusionStats, Keyframe, RawDepth
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.refine.scale import Scale


@dataclass(frozen=True)
class PoseFacts:
    """How the poses of a run come about.

    Attributes:
        state: of the tracker, see `TrackingState`.
        poses: "given", "refined" or "images".
        scale_source: where the metre of the poses comes from, see `MapScale`.
        scale_sigma: its standard deviation, relative; infinite where nothing measures it.
        readout_s: readout time of the shutter that tracking uses, seconds.

    Example:
        >>> PoseFacts("tracking", "refined", "poses", 0.01).scale_sigma
        0.01
    """

    state: str
    poses: str
    scale_source: str
    scale_sigma: float
    readout_s: float = 0.0


@dataclass(frozen=True, eq=False)
class Revision:
    """Better depth of an earlier keyframe, found with views from both sides.

    Attributes:
        keyframe: the earlier one.
        unrefined: its metric depth before the second refinement.
        estimate: its better depth.
        outcome: of its second refinement.
        raw: the depth source's answer.
        scale_sigma: of its own scale, see `MetricDepth`.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> import torch
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> decision = KeyframeDecision(True, "first")
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> depth = DepthEstimate(torch.ones(1, 1, 6, 8), None, "network", "motion")
        >>> raw = RawDepth(torch.ones(1, 1, 6, 8), None, "network", "network")
        >>> Revision(seen, depth, depth, None, raw).estimate.scale_source
        'motion'
    """

    keyframe: Keyframe
    unrefined: DepthEstimate
    estimate: DepthEstimate
    outcome: RefineOutcome | None
    raw: RawDepth
    scale_sigma: float | None = None


@dataclass(frozen=True, eq=False)
class KeyframeResult:
    """Everything that one keyframe produced.

    Attributes:
        keyframe: the input.
        raw: the depth source's answer.
        unrefined: metric depth before refinement.
        estimate: depth as it is given out; ``unrefined`` itself where it was not refined.
        fusion: the change of the map.
        latency_ms: stage name -> milliseconds ("prepare", "depth", "fuse"; "refine" where depth
            is aligned or refined; "revise" where an earlier keyframe is refined again).
        outcome: trace and end of the refinement, or the reason that there was none; None: no
            refinement is configured.
        scale: from the source's own unit, before any room, to metres; None: none was needed.
        revision: of an earlier keyframe; None: there was none.
        notices: sentences for the user.
        calibration: a sentence about the calibration of the camera; None: nothing new.
        poses: how they come about; None: they are given and stay as they are.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> import torch
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> decision = KeyframeDecision(True, "first")
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> raw = RawDepth(torch.ones(1, 1, 6, 8), None, "sensor", "sensor")
        >>> depth = DepthEstimate(raw.depth, None, "sensor", "sensor")
        >>> fusion = FusionStats(added=24, merged=0, removed=0, total=24)
        >>> KeyframeResult(seen, raw, depth, depth, fusion).revision is None
        True
    """

    keyframe: Keyframe
    raw: RawDepth
    unrefined: DepthEstimate
    estimate: DepthEstimate
    fusion: FusionStats
    latency_ms: dict[str, float] = field(default_factory=dict)
    outcome: RefineOutcome | None = None
    scale: Scale | None = None
    revision: Revision | None = None
    notices: tuple[str, ...] = ()
    calibration: str | None = None
    poses: PoseFacts | None = None
