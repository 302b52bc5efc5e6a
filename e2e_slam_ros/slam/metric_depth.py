"""A depth source's answer in metres: one scale, then what known motion says pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.gate import gate_depth, require_depth
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.refine.alignment import Alignment
from e2e_slam_ros.refine.history import KeyframeHistory, Remembered
from e2e_slam_ros.refine.metric_scale import FoundScale, MetricScale
from e2e_slam_ros.refine.motion_sweep import MotionSweep, SeenElsewhere, sweep_neighbours
from e2e_slam_ros.refine.views import RefineViews, SparseLabels

# Other keyframes whose depth is seen again in the one that is worked on.
_SEEN_AGAIN = 7


@dataclass(frozen=True, eq=False)
class MetricAnswer:
    """A source's answer in metres.

    Attributes:
        estimate: within the range that is used.
        sweep: what the neighbours' images say; None where nobody asked, or they say nothing.
        found: how it became metric; None where it was so by itself.
        notices: what the user should know, in sentences.
    """

    estimate: DepthEstimate
    sweep: MotionSweep | None
    found: FoundScale | None
    notices: tuple[str, ...]

    @property
    def alignment(self) -> Alignment | None:
        """The keyframe's alignment; None where none was needed."""
        return None if self.found is None else self.found.alignment


class MetricDepth:
    """Makes a source's answers metric, keyframe by keyframe.

    Attributes:
        config: of the refinement, changed by `reconfigure`.
        scale: found so far.
        aligned: whether the source's depth needs it: sensors measure metres, and so does a plane
            sweep of known motion.

    Args:
        depth: range of depth.
        config: of the refinement.
        source: name of the depth source.
        metric: whether its depth is in metres, if only roughly, before it is aligned.
    """

    def __init__(
        self, depth: DepthConfig, config: RefineConfig, source: str, metric: bool
    ) -> None:
        self._depth, self.config = depth, config
        self._sensed, self._metric = source == "sensor", metric
        self.aligned = source not in ("sensor", "motion_stereo")
        self.scale = MetricScale(config, depth.min_m, depth.max_m)

    def reconfigure(self, config: RefineConfig) -> None:
        """Use other settings from now on."""
        self.config = self.scale.config = config

    @property
    def corrects(self) -> bool:
        """Whether known motion corrects depth pixel by pixel."""
        return self.aligned and self.config.motion.enabled and self.config.scale.source == "motion"

    @property
    def between(self) -> int:
        """How many camera frames before a keyframe are of use as further views."""
        return self.config.motion.between if self.corrects else 0

    def idle(self, config: RefineConfig) -> bool:
        """Say whether depth stays as it is under these settings."""
        return not self.aligned or (config.scale.source == "fixed" and config.scale.factor == 1.0)

    def sweep(self, item: Remembered, history: KeyframeHistory) -> MotionSweep | None:
        """Compare a keyframe with its neighbours, where anybody asks for what they say."""
        motion, source = self.config.motion, self.config.scale.source
        labels = self.config.strategy != "none" and self.config.weights.labels > 0
        wanted = labels or (self.aligned and source == "motion")
        if not wanted or source == "depth_topic" or self._sensed:
            return None
        # Frames before the keyframe see most of what it sees, keyframes see it from afar.
        between = list(item.between[: motion.between])
        count = max(1, motion.neighbours - len(between))
        before = history.before(item.keyframe, count, motion.min_baseline_m)
        after = history.after(item.keyframe, motion.neighbours, motion.min_baseline_m)
        elsewhere: list[SeenElsewhere] = []
        if motion.earlier > 0:
            elsewhere = _seen_elsewhere(history.around(item.keyframe, _SEEN_AGAIN))
        sources = [*between, *(other.keyframe for other in (*before, *after))]
        return sweep_neighbours(
            item.keyframe, sources, self._depth, motion, elsewhere, self._typical_m(item)
        )

    def labels(self, keyframe: Keyframe, sweep: MotionSweep | None) -> SparseLabels | None:
        """Return the points of known depth that scale and refinement go by."""
        if self._sensed or self.config.scale.source == "depth_topic":
            if keyframe.sensor_depth is None:
                return None
            depth = gate_depth(keyframe.sensor_depth, self._depth)
            return SparseLabels(depth, (depth > 0).to(depth))
        camera = keyframe.camera
        return None if sweep is None else sweep.first.labels(camera.height, camera.width)

    def answer(
        self, item: Remembered, views: RefineViews, sweep: MotionSweep | None
    ) -> MetricAnswer:
        """Return a keyframe's depth in metres within the range that is used.

        Args:
            item: the keyframe, with the source's answer; gets what motion says for the result.
            views: its neighbours, with that answer and the labels.
            sweep: over its neighbours.

        Raises:
            ConfigError: "groundtruth_median" without the truth.
            DepthError: no pixel is in range once it is metric, or nothing is known yet of the
                scale of a source that has none.
        """
        given = item.unrefined
        assert given is not None
        if not self.aligned:
            return MetricAnswer(given, sweep, None, ())
        found = self.scale.find(views, item.truth, given.scale_source)
        if found.unknown and not self._metric:
            raise DepthError.from_parts(
                f"scale of keyframe {item.keyframe.index}",
                found.notice,
                "one found before, from a network whose depth has no scale of its own",
                "move the camera sideways, or give refine.scale.source: fixed",
            )
        # A first keyframe has no neighbours: nothing to report.
        told = found.notice is not None and bool(views.sources)
        answer = MetricAnswer(
            replace(given, scale_source=found.words),
            sweep,
            found,
            (str(found.notice),) if told else (),
        )
        metric = torch.where(known(given.depth), found.alignment(given.depth), 0.0)
        estimate = self.corrected(item, metric, answer)
        require_depth(estimate.depth, self._depth, item.keyframe)
        return replace(answer, estimate=estimate)

    def corrected(
        self, item: Remembered, metric: torch.Tensor, answer: MetricAnswer
    ) -> DepthEstimate:
        """Return depth within range, corrected by motion, the source's where that is silent.

        Args:
            item: the keyframe; gets what motion says for the result.
            metric: (1, 1, H, W) metres, of any range: what is too far is to stay too far.
            answer: with the sweep and the scale found.
        """
        untouched = replace(answer.estimate, depth=gate_depth(metric, self._depth))
        if answer.sweep is None or answer.found is None or not self.corrects:
            return untouched
        evidence = answer.sweep.given(metric)
        depth, confidence = evidence.complete(metric)
        depth = gate_depth(depth, self._depth)
        if not bool((depth > 0).any()):
            return untouched
        item.weight = evidence.weight_at(depth.shape[-2], depth.shape[-1])
        return replace(untouched, depth=depth, confidence=confidence)

    def anchor(self, alignment: Alignment | None) -> Alignment:
        """Return how a network's depth becomes metres while the network is adapted.

        A network that knows metres learns those of the room: were each keyframe's scale applied
        instead, nothing would keep the network's own from drifting away.
        """
        kept = self.config.strategy == "network" and self._metric and self.corrects
        return Alignment() if kept else alignment or Alignment()

    def least_m(self, item: Remembered) -> float:
        """Return the distance to a neighbour that parallax asks for, by the depth so far."""
        return self.config.guard.min_parallax * (self._typical_m(item) or 0.0)

    def _typical_m(self, item: Remembered) -> float | None:
        """Return the median depth in metres; None where the network's unit is not known yet."""
        assert item.unrefined is not None
        depth = item.unrefined.depth
        last = self.scale.last if self.aligned else None
        if last is None and self.aligned and not self._metric:
            return None
        used = known(depth)
        if not bool(used.any()):
            return None
        median = depth[used].median()
        return float(median if last is None else last(median))


def _seen_elsewhere(others: Sequence[Remembered]) -> list[SeenElsewhere]:
    return [
        SeenElsewhere(other.keyframe, other.depth, other.weight)
        for other in others
        if other.depth is not None and other.weight is not None
    ]
