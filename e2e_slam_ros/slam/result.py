"""What mapping one keyframe produced."""

from __future__ import annotations

from dataclasses import dataclass, field

from e2e_slam_ros.data.keyframe import DepthEstimate, FusionStats, Keyframe, RawDepth
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.refine.scale import Scale


@dataclass(frozen=True, eq=False)
class Revision:
    """Better depth of an earlier keyframe, found with views from both sides.

    Attributes:
        keyframe: the earlier one.
        unrefined: its metric depth before the second refinement.
        estimate: its depth in the map now.
        outcome: of its second refinement.
    """

    keyframe: Keyframe
    unrefined: DepthEstimate
    estimate: DepthEstimate
    outcome: RefineOutcome | None


@dataclass(frozen=True, eq=False)
class KeyframeResult:
    """Everything one keyframe produced.

    Attributes:
        keyframe: the input.
        raw: the depth source's answer.
        unrefined: metric depth before refinement.
        estimate: depth as it was fused; ``unrefined`` itself where it was not refined.
        fusion: what it did to the map.
        latency_ms: stage name -> milliseconds ("prepare", "depth", "fuse"; "refine" where depth
            is aligned or refined; "revise" where an earlier keyframe is refined again).
        outcome: trace and end of the refinement, or why there was none; None: not configured.
        scale: from the source's unit to metres; None: none was needed.
        revision: of an earlier keyframe; None: there was none.
        notices: what the user should know, in sentences.
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
