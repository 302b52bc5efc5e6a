"""From a depth source's raw answer to the depth that is fused.

raw -> known motion -> scale -> correction and range gate -> refiner -> other keyframes' consent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from e2e_slam_ros.config import Config, RefineConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import KeyframeViews
from e2e_slam_ros.depth.gate import require_depth
from e2e_slam_ros.depth.source import DepthSource, DepthUnit
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.refine.confirmed import confirmed
from e2e_slam_ros.refine.correction import RangeGate
from e2e_slam_ros.refine.counts import RefinementCounts
from e2e_slam_ros.refine.depth_plan import DepthPlan
from e2e_slam_ros.refine.depth_sigma import NetworkErrors, SigmaFactor
from e2e_slam_ros.refine.gathered_views import gathered_views, typical_depth
from e2e_slam_ros.refine.learned_correction.learned_correction import (
    LearnedCorrection,
    LearnedStep,
)
from e2e_slam_ros.refine.learned_correction.weights_file import load_shipped_correction
from e2e_slam_ros.refine.metric_depth import MetricDepth, only_a_view
from e2e_slam_ros.refine.motion_cue import DepthCue
from e2e_slam_ros.refine.overlap_scale import overlap_scale
from e2e_slam_ros.refine.refiner import check_strategy, network_notices, sized_as_predicted
from e2e_slam_ros.refine.refiners import Refiners
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_estimators import check_shift
from e2e_slam_ros.refine.scale_history import FoundScale, ScaleHistory, find_scale
from e2e_slam_ros.refine.views import RefineViews

_WEIGHT, _SCALE = "weight.", "alignment"
# Keyframes whose depth tells the scale of one that has none of its own.
_OVERLAPS = 4


class DepthStage:
    """Makes raw depth metric and refines it, keyframe by keyframe.

    A call changes no state. `keep` takes over the scale and the weights of a keyframe that is in
    the map. One thread at a time.

    Args:
        config: ``refine`` and ``depth``.
        source: gave the raw depths; the network strategy adapts its network.
        device: where keyframes live.

    Attributes:
        counts: of refinements.
        learned: the last step of the correction by motion, loaded when it is needed first. What
            records its input, to train it, takes its place.

    Raises:
        ConfigError: the network strategy without a network.

    Example:
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.data.keyframes import Keyframes
        >>> from e2e_slam_ros.depth.sensor import SensorDepth
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> measured, decision = torch.full((1, 1, 6, 8), 2.0), KeyframeDecision(True, "first")
        >>> keyframe = Keyframe(0, 0, 0, image, camera, pose, measured, decision)
        >>> config, memory = Config(), Keyframes(capacity=12)
        >>> source = SensorDepth(config.depth)
        >>> stage = DepthStage(config, source, torch.device("cpu"))
        >>> raw = source.estimate(keyframe, memory)
        >>> metric = stage(keyframe, raw, memory, config.refine)
        >>> metric.estimate.scale_source, float(metric.estimate.depth.max())
        ('sensor', 2.0)
        >>> stage.keep(metric)  # once the map has taken it
    """

    def __init__(self, config: Config, source: DepthSource, device: torch.device) -> None:
        self._depth, self._source, self._device = config.depth, source, device
        self.learned: LearnedStep | None = None
        self._history, self._factor = ScaleHistory(), SigmaFactor()
        self._refiners = Refiners(config.depth, source.network, device)
        self._untold = network_notices(config.refine, source.network)
        self.counts = RefinementCounts()
        self.check(config.refine)

    @property
    def scale(self) -> Scale | None:
        """The last scale that was found, or None."""
        return self._history.last

    @property
    def usual_factor(self) -> float:
        """Metres of one of the source's units, as is usual for the last keyframes; 1: unknown."""
        usual = self._history.usual
        return 1.0 if usual is None or usual.inverse else usual.factor

    def check(self, config: RefineConfig) -> None:
        """Refuse settings that the depth source cannot follow.

        Raises:
            ConfigError: see `check_strategy` and `check_shift`.
        """
        check_strategy(config, self._source.network)
        check_shift(config.scale, shifted=self._source.traits.shifted)

    def active(self, config: RefineConfig) -> bool:
        """Return whether depth is scaled or refined at all."""
        return self._plan(config).is_active

    def corrects(self, config: RefineConfig) -> bool:
        """Return whether known motion corrects depth pixel by pixel."""
        return self._plan(config).corrects

    def _plan(self, config: RefineConfig) -> DepthPlan:
        plan = DepthPlan(self._depth, config, self._source.traits)
        if self.learned is None and plan.corrects and config.motion.learned:
            self.learned = LearnedCorrection(load_shipped_correction(self._device))
        return replace(plan, learned=self.learned)

    @torch.inference_mode()
    def __call__(
        self,
        keyframe: Keyframe,
        raw: RawDepth,
        views: KeyframeViews,
        config: RefineConfig,
        map_points: torch.Tensor | None = None,
    ) -> MetricDepth:
        """Return a keyframe's depth in metres.

        Args:
            keyframe: the newest, or an earlier one that has later neighbours by now.
            raw: the depth source's answer.
            views: the memory of keyframes; the newest keyframe is not in it yet.
            config: of the refinement.
            map_points: (N, 3) metres, map frame: surfels in view; or None.

        Raises:
            ConfigError: ``refine.scale.source`` is not available.
            DepthError: no pixel is within the depth range once it is metric.
        """
        # What is known of the room comes from motion: here it would confirm itself.
        plan, raw = self._plan(config), raw.without_room()
        if plan.is_active:
            metric = self._metric(keyframe, raw, views, plan, map_points)
        else:
            metric = self._as_given(keyframe, raw, config)
        metric = replace(metric, notices=(*self._untold, *metric.notices))
        # Without correction by motion, later depth may be better than all that came before.
        if not plan.corrects:
            return metric
        judged = confirmed(keyframe, metric.estimate, views, config.support)
        own, mean = judged.own, judged.mean
        if metric.motion_weight is None:
            # What others say of depth that nothing corrected is mostly their scale.
            own, mean = (replace(one, sigma=metric.estimate.sigma) for one in (own, mean))
        return replace(metric, estimate=mean, own=own)

    def _metric(
        self,
        keyframe: Keyframe,
        raw: RawDepth,
        views: KeyframeViews,
        plan: DepthPlan,
        map_points: torch.Tensor | None,
    ) -> MetricDepth:
        """Return depth that is scaled, corrected and refined as the plan says."""
        config = plan.refine
        typical_m = typical_depth(raw.depth, plan.traits.unit, self.scale)
        cue = plan.cue(keyframe, views, typical_m)
        refine_views = gathered_views(keyframe, raw, views, plan, cue, map_points, typical_m)
        found = self._scale(refine_views, raw, plan, views)
        if found.contradicted:
            cue = DepthCue()
            refine_views = replace(refine_views, labels=None)
        if found.scale is None and plan.traits.unit is DepthUnit.UNKNOWN:
            return only_a_view(keyframe, raw, found, config, self._factor, plan.traits.shifted)
        metric = torch.where(known(raw.depth), (found.scale or Scale())(raw.depth), 0.0)
        errors = NetworkErrors(raw.sigma, self._factor)
        corrected = plan.correction.correct(metric, cue.sweep, errors)
        factor = self._factor.seen(corrected.surprise)
        sigma = corrected.sigma
        if sigma is None and plan.traits.has_network:
            sigma = replace(errors, factor=factor).with_scale(metric)
        confidence = raw.confidence if corrected.confidence is None else corrected.confidence
        unrefined = DepthEstimate(
            corrected.depth, confidence, raw.source, found.words, sigma, corrected.pose_sigma
        )
        self._require(unrefined, keyframe)
        # A first keyframe has no neighbours: nothing to report.
        told = found.notice is not None and bool(refine_views.sources)
        result = MetricDepth(
            keyframe=keyframe,
            unrefined=unrefined,
            estimate=unrefined,
            motion_weight=corrected.motion_weight,
            scale=None if plan.estimator is None else found.scale,
            scale_sigma=found.own_sigma if plan.corrects else None,
            notices=(str(found.notice),) if told else (),
            history=found.history,
            config=config,
            sigma_factor=factor,
        )
        return self._refined(result, raw, refine_views, plan, cue)

    def _as_given(self, keyframe: Keyframe, raw: RawDepth, config: RefineConfig) -> MetricDepth:
        """Return depth that only the range gate has changed: neither scaled nor refined."""
        gated = RangeGate(self._depth).correct(raw.depth, None).depth
        sigma = raw.sigma
        if self._source.traits.has_network:
            sigma = NetworkErrors(raw.sigma, self._factor).with_scale(gated)
        estimate = DepthEstimate(gated, raw.confidence, raw.source, raw.unit, sigma)
        self._require(estimate, keyframe)
        return MetricDepth(keyframe, estimate, estimate, self._history, config, self._factor)

    def _require(self, estimate: DepthEstimate, keyframe: Keyframe) -> None:
        """Refuse depth without a pixel in range, unless the source needs views first."""
        if not self._source.traits.needs_views:
            require_depth(estimate.depth, self._depth, keyframe)

    def keep(self, metric: MetricDepth, counted: bool = True) -> None:
        """Learn from a keyframe that is in the map: its scale and new weights.

        Args:
            metric: returned by a call.
            counted: count the refinement; false for a keyframe that is refined again.
        """
        history = metric.history
        if not counted:
            # Keyframes in a row contradict the usual scale, not keyframes that are refined again.
            history = replace(history, refused=self._history.refused)
        self._history, self._untold = history, ()
        self._factor = metric.sigma_factor
        if metric.outcome is not None:
            self._refiners.of(metric.config).keep(metric.outcome)
            if counted:
                self.counts.add(metric.outcome)

    def follow_map(self, factor: float) -> None:
        """Scale later depths alike: a loop made the newest part ``factor`` times as large."""
        self._history = self._history.followed(1.0 / factor)

    def follow_network(self, ratio: float) -> None:
        """Note that the network's depth has become ``ratio`` times as large."""
        self._history = self._history.followed(ratio)

    def forget_learned(self) -> None:
        """Go back to the first weights; forget scales and counts."""
        self._refiners.reset()
        self._history, self._factor = ScaleHistory(), SigmaFactor()
        self.counts = RefinementCounts()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the learned state, on the CPU: adapted weights and the last scale."""
        weights = self._refiners.state_dict()
        state = {_WEIGHT + name: value.cpu() for name, value in weights.items()}
        if self.scale is not None:
            state[_SCALE] = self.scale.to_tensor()
        return state

    def load_state_dict(self, state: Mapping[str, torch.Tensor], config: RefineConfig) -> None:
        """Restore the state that `state_dict` returned. After an error nothing has changed.

        Raises:
            DepthError: the weights do not fit the network, or a value is not finite.
        """
        weights = {
            name.removeprefix(_WEIGHT): value
            for name, value in state.items()
            if name.startswith(_WEIGHT)
        }
        scale = Scale.from_tensor(state[_SCALE]) if _SCALE in state else None
        self._refiners.load_state_dict(weights, config)
        self._history = ScaleHistory.starting_from(scale)

    def _scale(
        self, views: RefineViews, raw: RawDepth, plan: DepthPlan, memory: KeyframeViews
    ) -> FoundScale:
        """Return the keyframe's scale; 1 where depth is metric or keeps the source's unit."""
        estimator, history = plan.estimator, self._history
        if estimator is None:
            return FoundScale(Scale(), raw.unit, history)
        limit = plan.refine.scale.max_change if estimator.by_motion else 0.0
        roughly = plan.traits.unit is DepthUnit.ROUGH_METRES
        target, seen = views.target, None
        if plan.corrects:
            seen = overlap_scale(target, raw.depth, memory.around(target, _OVERLAPS))
        return find_scale(estimator, views, history, limit, raw.unit, roughly, seen)

    def _refined(
        self,
        result: MetricDepth,
        raw: RawDepth,
        views: RefineViews,
        plan: DepthPlan,
        cue: DepthCue,
    ) -> MetricDepth:
        """Return the result with its depth refined, where a refinement is configured."""
        config = plan.refine
        if not config.refines_keyframes:
            return result
        refiner = self._refiners.of(config)
        anchor = plan.anchor(result.scale, refiner.changes_source)
        views = replace(views, depth=result.unrefined.depth, scale=anchor)
        outcome = refiner.refine(views, sized_as_predicted(config, self._depth))
        notices = result.notices if outcome.notice is None else (*result.notices, outcome.notice)
        result = replace(result, outcome=outcome, notices=notices)
        if not outcome.changed:
            return result
        if refiner.changes_source:
            ratio = _median_ratio(outcome.depth, anchor(raw.depth))
            result = replace(result, history=result.history.followed(ratio))
            errors = NetworkErrors(raw.sigma, result.sigma_factor)
            corrected = plan.correction.correct(outcome.depth, cue.sweep, errors)
        else:
            corrected = RangeGate(self._depth).correct(outcome.depth, None)
        if not bool((corrected.depth > 0).any()):
            return result
        estimate = replace(result.unrefined, depth=corrected.depth)
        if corrected.confidence is not None:
            estimate = replace(estimate, confidence=corrected.confidence)
        if corrected.sigma is not None:
            estimate = replace(estimate, sigma=corrected.sigma)
        weight = corrected.motion_weight
        weight = result.motion_weight if weight is None else weight
        return replace(result, estimate=estimate, motion_weight=weight)


def _median_ratio(depth: torch.Tensor, other: torch.Tensor) -> float:
    """Return the median of ``depth / other``, 1 where no pixel is in both."""
    both = known(depth) & known(other)
    return float((depth[both] / other[both]).median()) if bool(both.any()) else 1.0
