"""One keyframe's depth in metres, with the way it came about."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_history import ScaleHistory


@dataclass(frozen=True, eq=False)
class MetricDepth:
    """One keyframe's depth in metres, and the way it came about.

    Attributes:
        keyframe: the keyframe.
        unrefined: metric depth before refinement.
        estimate: the depth to fuse; ``unrefined`` itself where refinement changed nothing.
        motion_weight: (1, 1, H, W) support of ``estimate`` by known motion; or None.
        scale: from the source's unit to metres; None: none was needed.
        outcome: of the refinement; None: none is configured.
        notices: sentences for the user.
        history: scales including this keyframe's, for `DepthStage.keep`.
        strategy: of the refinement.
    """

    keyframe: Keyframe
    unrefined: DepthEstimate
    estimate: DepthEstimate
    motion_weight: torch.Tensor | None
    scale: Scale | None
    outcome: RefineOutcome | None
    notices: tuple[str, ...]
    history: ScaleHistory
    strategy: str

    def remembered(self, raw: RawDepth, between: tuple[Keyframe, ...]) -> MappedKeyframe:
        """Return the entry for the memory of keyframes."""
        return MappedKeyframe(self.keyframe, raw, self.estimate, self.motion_weight, between)
