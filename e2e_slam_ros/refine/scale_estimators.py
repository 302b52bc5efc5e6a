"""The sources of a keyframe's scale: one class for each value of ``refine.scale.source``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.config.refine import LossWeightsConfig, RefineConfig, ScaleConfig
from e2e_slam_ros.refine.guard import checked
from e2e_slam_ros.refine.learned_scale import ScaleHead, learn_scale
from e2e_slam_ros.refine.objective import Objective, held_back_pixels
from e2e_slam_ros.refine.result import Refusal
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_fit import (
    fit_scale,
    fit_scale_and_shift,
    groundtruth_median_scale,
    too_few_labels,
)
from e2e_slam_ros.refine.views import RefineViews, at_width


class ScaleEstimator(Protocol):
    """Finds the scale of one keyframe. It keeps no state."""

    @property
    def words(self) -> str:
        """The origin of the metres."""
        ...

    @property
    def by_motion(self) -> bool:
        """Whether the labels come from known motion."""
        ...

    @property
    def by_sensor(self) -> bool:
        """Whether the labels are measured depth."""
        ...

    def fit(self, views: RefineViews, last: Scale | None) -> Scale:
        """Return the scale of ``views.depth``, which is in the source's unit.

        Args:
            views: the keyframe, its neighbours and its labels.
            last: scale of the keyframe before.

        Raises:
            DepthError: the keyframe has too few labels or views.
            ConfigError: the configured source is not available.
        """
        ...


@dataclass(frozen=True)
class FixedScale:
    """A constant factor (``fixed``).

    Example:
        >>> from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> truth, decision = torch.full((1, 1, 6, 8), 3.0), KeyframeDecision(True, "first")
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, truth, decision)
        >>> FixedScale(2.0).fit(RefineViews(seen, (), torch.ones(1, 1, 6, 8)), last=None).factor
        2.0
    """

    factor: float
    words: str = "fixed factor"
    by_motion: bool = False
    by_sensor: bool = False

    def fit(self, views: RefineViews, last: Scale | None) -> Scale:
        """Return the factor."""
        return Scale(self.factor)


@dataclass(frozen=True)
class LabelScale:
    """The factor that fits labels best.

    Labels are triangulated (``motion``) or measured (``depth_topic``).

    Example:
        >>> from e2e_slam_ros.refine.views import SparseLabels
        >>> from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> truth, decision = torch.full((1, 1, 6, 8), 3.0), KeyframeDecision(True, "first")
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, truth, decision)
        >>> labels = SparseLabels(truth, torch.ones_like(truth))
        >>> views = RefineViews(seen, (), torch.ones(1, 1, 6, 8), labels=labels)
        >>> estimator = LabelScale(ScaleConfig(min_points=2), "depth topic", by_sensor=True)
        >>> round(estimator.fit(views, last=None).factor, 3)
        3.0
    """

    config: ScaleConfig
    words: str
    by_motion: bool = False
    by_sensor: bool = False

    def fit(self, views: RefineViews, last: Scale | None) -> Scale:
        """Return the fit of scale, or of scale and shift of inverse depth."""
        if views.labels is None:
            raise too_few_labels(0, self.config.min_points)
        fit = fit_scale_and_shift if self.config.shift else fit_scale
        return fit(views.depth, views.labels, self.config.min_points)


@dataclass(frozen=True)
class LearnedScale:
    """The paper's scale head, learned from the photometric loss (``learned``, B.2).

    Example:
        >>> estimator = LearnedScale(RefineConfig(), DepthConfig())
        >>> estimator.words, estimator.by_motion
        ('learned from images', False)
    """

    config: RefineConfig
    depth: DepthConfig
    words: str = "learned from images"
    by_motion: bool = False
    by_sensor: bool = False

    def fit(self, views: RefineViews, last: Scale | None) -> Scale:
        """Return the learned scale. Learning begins with the last scale, the head's only state."""
        start = last or Scale()
        near_m, far_m = self.depth.min_m, self.depth.max_m
        usable = checked(
            replace(views, depth=start(views.depth)), self.config.guard, near_m, far_m
        )
        if isinstance(usable, Refusal):
            raise DepthError.from_parts(
                "keyframe to learn the scale from",
                str(usable),
                "views from elsewhere that overlap",
                "move the camera sideways",
            )
        weights = LossWeightsConfig(
            chamfer=0.0, regulariser=0.0, smoothness=0.0, consistency=0.0, labels=0.0
        )
        config = replace(self.config, weights=weights)
        with torch.inference_mode(False), torch.enable_grad():
            head = ScaleHead(start.factor, start.shift, with_shift=config.scale.shift)
            head.to(views.depth.device)
            working = at_width(replace(usable, depth=views.depth), config.output.width)
            height, width = working.depth.shape[-2:]
            held = held_back_pixels(
                height,
                width,
                config.guard.held_back,
                views.target.stamp_ns % 2**31,
                working.depth.device,
            )
            loss = Objective(working, working.depth, held, config)
            learn_scale(head, working.depth, loss, config)
        return head.scale()


@dataclass(frozen=True)
class GroundtruthMedianScale:
    """Ratio of medians to the true depth (``groundtruth_median``): for evaluation alone.

    Example:
        >>> from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image, pose = torch.zeros(1, 3, 6, 8), torch.eye(4, dtype=torch.float64)
        >>> truth, decision = torch.full((1, 1, 6, 8), 3.0), KeyframeDecision(True, "first")
        >>> seen = Keyframe(0, 0, 0, image, camera, pose, truth, decision)
        >>> views = RefineViews(seen, (), torch.ones(1, 1, 6, 8))
        >>> GroundtruthMedianScale().fit(views, last=None).factor
        3.0
    """

    words: str = "ground truth median"
    by_motion: bool = False
    by_sensor: bool = False

    def fit(self, views: RefineViews, last: Scale | None) -> Scale:
        """Return the ratio. In evaluations the keyframe's sensor depth is the true depth."""
        truth = views.target.sensor_depth
        if truth is None:
            raise ConfigError.from_parts(
                "refine.scale.source",
                "groundtruth_median on live input",
                "motion, depth_topic, fixed or learned",
                "choose one: ground truth exists in evaluations only",
            )
        return groundtruth_median_scale(views.depth, truth)


_ESTIMATORS: Mapping[str, Callable[[RefineConfig, DepthConfig], ScaleEstimator]] = {
    "motion": lambda config, _: LabelScale(config.scale, "motion", by_motion=True),
    "depth_topic": lambda config, _: LabelScale(config.scale, "depth topic", by_sensor=True),
    "fixed": lambda config, _: FixedScale(config.scale.factor),
    "learned": LearnedScale,
    "groundtruth_median": lambda *_: GroundtruthMedianScale(),
}


# They fit a shift of inverse depth too.
_FIT_SHIFT = ("motion", "depth_topic")


def build_scale_estimator(config: RefineConfig, depth: DepthConfig) -> ScaleEstimator | None:
    """Return the configured estimator; None where depth keeps the source's unit.

    Raises:
        ConfigError: an unknown ``refine.scale.source``.
    """
    if config.scale.source not in _ESTIMATORS:
        raise ConfigError.from_parts(
            "refine.scale.source",
            repr(config.scale.source),
            "one of " + ", ".join(_ESTIMATORS),
            "choose one of these",
        )
    estimator = _ESTIMATORS[config.scale.source](config, depth)
    return None if isinstance(estimator, FixedScale) and estimator.factor == 1.0 else estimator


def check_shift(config: ScaleConfig, *, shifted: bool) -> None:
    """Refuse a source of scale that leaves the shift of inverse depth unknown.

    Args:
        shifted: the depth source's inverse depth has an unknown shift.

    Raises:
        ConfigError: it has one, and the scale's source fits none.
    """
    if shifted and config.source not in _FIT_SHIFT:
        raise ConfigError.from_parts(
            "refine.scale.source",
            f"{config.source!r} with a network of relative depth, whose inverse depth has an "
            "unknown factor and an unknown shift",
            " or ".join(_FIT_SHIFT),
            "choose one of these, or a metric network",
        )


def scale_needs_sensor(config: ScaleConfig) -> bool:
    """Return whether the scale is found from a measured depth image."""
    estimator = build_scale_estimator(RefineConfig(scale=config), DepthConfig())
    return estimator is not None and estimator.by_sensor
