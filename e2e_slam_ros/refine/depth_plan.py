"""The steps from raw depth to metric depth that a configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.source import DepthTraits, DepthUnit
from e2e_slam_ros.refine.correction import Correction, MotionCorrection, RangeGate
from e2e_slam_ros.refine.learned_correction.learned_correction import LearnedStep
from e2e_slam_ros.refine.motion_cue import DepthCue, measured_cue, motion_cue
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_estimators import ScaleEstimator, build_scale_estimator


@dataclass(frozen=True)
class DepthPlan:
    """Which steps make the depth of one source metric.

    Attributes:
        depth: range of depth.
        refine: settings of the refinement.
        traits: of the depth source.
        learned: the last step of the correction by motion; None: there is none.

    Example:
        >>> sensor = DepthTraits("sensor", DepthUnit.METRES, needs_sensor=True)
        >>> plan = DepthPlan(DepthConfig(), RefineConfig(), sensor)
        >>> plan.is_active, plan.estimator is None
        (False, True)
        >>> network = DepthTraits("network", DepthUnit.ROUGH_METRES, has_network=True)
        >>> plan = DepthPlan(DepthConfig(), RefineConfig(), network)
        >>> plan.is_active, plan.estimator.words, plan.corrects
        (True, 'motion', True)
    """

    depth: DepthConfig
    refine: RefineConfig
    traits: DepthTraits
    learned: LearnedStep | None = None

    @property
    def is_active(self) -> bool:
        """Whether depth is scaled or refined at all."""
        return self.refine.refines_keyframes or self.estimator is not None

    @property
    def estimator(self) -> ScaleEstimator | None:
        """The scale estimator; None where depth is metric or keeps its unit."""
        if self.traits.unit is DepthUnit.METRES:
            return None
        refine = self.refine
        if self.traits.shifted:
            refine = replace(refine, scale=replace(refine.scale, shift=True))
        return build_scale_estimator(refine, self.depth)

    @property
    def corrects(self) -> bool:
        """Whether known motion corrects depth pixel by pixel."""
        estimator = self.estimator
        return self.refine.motion.enabled and estimator is not None and estimator.by_motion

    @property
    def correction(self) -> Correction:
        """The correction of metric depth, pixel by pixel, with the range gate."""
        if not self.corrects:
            return RangeGate(self.depth)
        learned = self.learned if self.refine.motion.learned else None
        return MotionCorrection(self.depth, learned)

    @property
    def by_sensor(self) -> bool:
        """Whether labels are the sensor's depth, not triangulated from motion."""
        estimator = build_scale_estimator(self.refine, self.depth)
        by_scale = estimator is not None and estimator.by_sensor
        return self.traits.needs_sensor or by_scale

    def cue(self, keyframe: Keyframe, views: KeyframeViews, typical_m: float | None) -> DepthCue:
        """Return the keyframe's known depth, where a later step uses it.

        Args:
            keyframe: whose depth is wanted.
            views: the memory of keyframes.
            typical_m: median depth, metres; None: unknown.
        """
        if self.by_sensor:
            return measured_cue(keyframe, self.depth)
        estimator = self.estimator
        by_motion = estimator is not None and estimator.by_motion
        labels = self.refine.refines_keyframes and self.refine.weights.labels > 0
        if not (labels or by_motion):
            return DepthCue()
        motion = self.refine.motion
        return motion_cue(keyframe, views, self.depth, motion, typical_m, self.corrects)

    def anchor(self, scale: Scale | None, changes_source: bool) -> Scale:
        """Return the scale of the source's depth during a refinement.

        A network that knows metres learns those of the room. With each keyframe's scale applied
        instead, nothing would keep the network's own scale from drifting.

        Args:
            scale: of the keyframe.
            changes_source: the refinement adapts the depth source's network.
        """
        roughly = self.traits.unit is DepthUnit.ROUGH_METRES
        if changes_source and roughly and self.corrects:
            return Scale()
        return scale or Scale()
