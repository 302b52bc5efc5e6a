"""From a depth source's answer to the depth that is fused: metric scale, then refinement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.build import build_depth_source
from e2e_slam_ros.depth.gate import gate_depth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.geometry.masks import known
from e2e_slam_ros.refine.alignment import Alignment
from e2e_slam_ros.refine.history import KeyframeHistory, Remembered
from e2e_slam_ros.refine.refiner import GuardedRefiner, build_refiner
from e2e_slam_ros.refine.result import RefineOutcome
from e2e_slam_ros.refine.tally import RefinementTally
from e2e_slam_ros.refine.views import RefineViews
from e2e_slam_ros.slam.metric_depth import MetricDepth

# Keyframes kept beside those that wait: neighbours are chosen among them.
_KEPT = 12
# A network's depth before it is aligned has no unit that a range in metres could be held to.
_WIDE = {"depth.min_m": 1e-3, "depth.max_m": 1e3}
_WEIGHT, _SCALE = "weight.", "alignment"

MapPoints = Callable[[Keyframe], torch.Tensor | None]


@dataclass(frozen=True, eq=False)
class AdaptedDepth:
    """What became of one keyframe's depth.

    Attributes:
        keyframe: whose depth.
        unrefined: metric, before refinement.
        estimate: what to fuse; ``unrefined`` itself where refinement changed nothing.
        alignment: how the source's depth became metric; None where it was so by itself.
        outcome: of the refinement; None where none is configured.
        notices: what the user should know, in sentences.
    """

    keyframe: Keyframe
    unrefined: DepthEstimate
    estimate: DepthEstimate
    alignment: Alignment | None
    outcome: RefineOutcome | None
    notices: tuple[str, ...] = ()


class Adaptation:
    """Makes a depth source's answers metric and refines them, keyframe by keyframe.

    One thread at a time, `reconfigure` excepted.

    Args:
        config: ``refine``, ``depth`` and nothing else.
        source: gave the depths; the network strategy adapts its ``network`` in place.
        device: where keyframes live.

    Raises:
        ConfigError: the network strategy without a network.
    """

    def __init__(self, config: Config, source: DepthSource, device: torch.device) -> None:
        self._depth = config.depth
        self._config = self._sized(config.refine)
        self._source, self._device = source, device
        self._network: DepthNetwork | None = getattr(source, "network", None)
        metric = self._network is None or self._network.metric
        self._metric = MetricDepth(config.depth, self._config, source.name, metric)
        self._history = KeyframeHistory(_KEPT + config.refine.wait_keyframes)
        self._refiners: dict[str, GuardedRefiner] = {}
        self._pending: RefineConfig | None = None
        self.tally = RefinementTally()
        self.check(config.refine)

    @property
    def alignment(self) -> Alignment | None:
        """The last alignment that was found, or None."""
        return self._metric.scale.last

    @property
    def active(self) -> bool:
        """Whether depth is aligned or refined at all."""
        return not self._idle(self._pending or self._config)

    @property
    def wants_map(self) -> bool:
        """Whether the surfels in view are of any use to `refine`."""
        config = self._pending or self._config
        return config.strategy != "none" and config.weights.chamfer > 0

    @property
    def between(self) -> int:
        """How many camera frames before a keyframe are of use to `refine` as further views."""
        return self._metric.between

    def check(self, config: RefineConfig) -> None:
        """Refuse settings that this source cannot follow.

        Raises:
            ConfigError: the network strategy without a network.
        """
        if config.strategy == "network" and self._network is None:
            raise ConfigError.from_parts(
                "refine.strategy",
                f"'network' with depth.source {self._source.name}",
                "depth.source: network",
                "set it, or use refine.strategy: output, which needs no network",
            )

    def reconfigure(self, config: RefineConfig) -> None:
        """Use other settings from the next keyframe on; any thread.

        Raises:
            ConfigError: as `check`; nothing is changed then.
        """
        self.check(config)
        self._pending = self._sized(config)

    @torch.inference_mode()
    def refine(
        self,
        keyframe: Keyframe,
        unrefined: DepthEstimate,
        map_points: torch.Tensor | None = None,
        truth: torch.Tensor | None = None,
        between: Sequence[Keyframe] = (),
    ) -> AdaptedDepth:
        """Return the newest keyframe's metric, refined depth and remember it as a neighbour.

        Args:
            keyframe: later than all before.
            unrefined: the source's answer; ungated where it is to be aligned.
            map_points: (N, 3) metres, map frame: surfels in view; or None.
            truth: (1, 1, H, W) metres, 0 = unknown; for "groundtruth_median" alone.
            between: views of camera frames that became no keyframe, see `between`.

        Raises:
            ConfigError: "groundtruth_median" without ``truth``.
            DepthError: no pixel is within the depth range once it is metric, or nothing is known
                yet of the scale of a network that has none.
        """
        self._settle()
        if self._idle(self._config):
            return AdaptedDepth(keyframe, unrefined, unrefined, None, None)
        item = Remembered(keyframe, unrefined, None, truth, between=tuple(between))
        neighbours = self._history.before(
            keyframe, self._config.neighbours, self._metric.least_m(item)
        )
        self._history.add(item)
        try:
            adapted = self._adapt(item, neighbours, map_points)
        except Exception:
            # It may still show the next one's scale.
            self.withdraw(keyframe)
            raise
        item.depth = adapted.estimate.depth
        if adapted.outcome is not None:
            self.tally.note(adapted.outcome)
        return adapted

    @torch.inference_mode()
    def look_back(self, map_points: MapPoints | None = None) -> AdaptedDepth | None:
        """Refine again the keyframe that has ``refine.wait_keyframes`` later ones by now.

        Call once after each `refine`. Begins with what the source said, or, with the network
        strategy, with what the network has learned since.

        Args:
            map_points: gives the surfels in a keyframe's view.

        Returns:
            The better depth, for `SurfelMap.revise`; None where there is none.
        """
        wait = self._config.wait_keyframes
        item = self._history.from_newest(wait) if wait > 0 else None
        if item is None or item.unrefined is None or self._idle(self._config):
            return None
        if self._refiner() is None and not self._metric.corrects:
            return None
        least_m, count = self._metric.least_m(item), self._config.neighbours
        after = self._history.after(item.keyframe, count, least_m)
        before = self._history.before(item.keyframe, count, least_m)
        points = None if map_points is None else map_points(item.keyframe)
        adapted = self._adapt(item, [*after, *before], points)
        unchanged = adapted.outcome is None or not adapted.outcome.changed
        if unchanged and not self._metric.corrects:
            return None
        item.depth = adapted.estimate.depth
        return adapted

    def remember(self, keyframe: Keyframe, depth: torch.Tensor | None = None) -> None:
        """Note a keyframe as a neighbour without working on it.

        Args:
            keyframe: later than all before.
            depth: (1, 1, H, W) metres, 0 = unknown; or None.
        """
        self._history.add(Remembered(keyframe, None, depth))

    def withdraw(self, keyframe: Keyframe) -> None:
        """Note that a keyframe was not fused after all: it stays as a view."""
        self._history.demote(keyframe, self._depth.motion.min_baseline_m)

    def forget_keyframes(self) -> None:
        """Forget the neighbours; what was learned stays."""
        self._history.clear()

    def forget_learned(self) -> None:
        """Go back to the first weights, forget scale and counts; the neighbours stay."""
        for refiner in self._refiners.values():
            refiner.reset()
        self._metric.scale.take_up(None)
        self.tally = RefinementTally()

    def reset(self) -> None:
        """Go back to the start."""
        self.forget_learned()
        self.forget_keyframes()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what was learned, on the CPU: adapted weights and the last alignment."""
        state: dict[str, torch.Tensor] = {}
        for refiner in self._refiners.values():
            for name, value in refiner.state_dict().items():
                state[_WEIGHT + name] = value.cpu()
        last = self._metric.scale.last
        if last is not None:
            state[_SCALE] = last.to_tensor()
        return state

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what `state_dict` returned; all or nothing.

        Without weights the network is put back to its first ones. Without a network weights are
        of no use and left out.

        Raises:
            DepthError: weights of another network or other settings, or values that are not
                finite.
        """
        weights = {
            name.removeprefix(_WEIGHT): value
            for name, value in state.items()
            if name.startswith(_WEIGHT)
        }
        alignment = Alignment.from_tensor(state[_SCALE]) if _SCALE in state else None
        if weights and self._network is not None:
            self._built("network").load_state_dict(weights)
        elif "network" in self._refiners:
            self._refiners["network"].reset()
        self._metric.scale.take_up(alignment)

    def _sized(self, config: RefineConfig) -> RefineConfig:
        """Return settings that adapt the network at the size its predictions are made at."""
        used, given = self._depth.network, config.network
        width, height = given.width or used.width, given.height or used.height
        return replace(config, network=replace(given, width=width, height=height))

    def _settle(self) -> None:
        """Take up settings that were changed meanwhile."""
        if self._pending is None:
            return
        self._config, self._pending = self._pending, None
        self._metric.reconfigure(self._config)
        for refiner in self._refiners.values():
            refiner.reconfigure(self._config)

    def _idle(self, config: RefineConfig) -> bool:
        return config.strategy == "none" and self._metric.idle(config)

    def _refiner(self) -> GuardedRefiner | None:
        strategy = self._config.strategy
        return None if strategy == "none" else self._built(strategy)

    def _built(self, strategy: str) -> GuardedRefiner:
        """Return a strategy's refiner; it stays when the strategy is changed."""
        if strategy not in self._refiners:
            with torch.inference_mode(False):
                refiner = build_refiner(
                    replace(self._config, strategy=strategy),
                    self._network,
                    self._device,
                    self._depth.min_m,
                    self._depth.max_m,
                )
            assert refiner is not None
            self._refiners[strategy] = refiner
        return self._refiners[strategy]

    def _adapt(
        self, item: Remembered, neighbours: list[Remembered], map_points: torch.Tensor | None
    ) -> AdaptedDepth:
        """Make the depth metric, then refine it."""
        assert item.unrefined is not None
        refiner, metric, given = self._refiner(), self._metric, item.unrefined
        sweep = metric.sweep(item, self._history)
        views = RefineViews(
            target=item.keyframe,
            sources=tuple(other.keyframe for other in neighbours),
            depth=given.depth,
            source_depths=tuple(other.depth for other in neighbours),
            map_points=map_points,
            labels=metric.labels(item.keyframe, sweep),
            poses_believed=sweep is not None or not metric.corrects,
        )
        answer = metric.answer(item, views, sweep)
        unrefined, notices = answer.estimate, answer.notices
        if refiner is None:
            return AdaptedDepth(
                item.keyframe, unrefined, unrefined, answer.alignment, None, notices
            )
        anchor = metric.anchor(answer.alignment)
        raw = anchor.after(self._depth.network.scale)
        outcome = refiner.refine(replace(views, depth=unrefined.depth, alignment=raw))
        estimate = unrefined
        if outcome.changed:
            if self._config.strategy == "network":
                metric.scale.follow(_ratio(outcome.depth, anchor(given.depth)))
                estimate = metric.corrected(item, outcome.depth, answer)
            else:
                estimate = replace(unrefined, depth=gate_depth(outcome.depth, self._depth))
            if not bool((estimate.depth > 0).any()):
                estimate = unrefined
        if outcome.notice is not None:
            notices = (*notices, outcome.notice)
        return AdaptedDepth(item.keyframe, unrefined, estimate, answer.alignment, outcome, notices)


def _ratio(depth: torch.Tensor, other: torch.Tensor) -> float:
    """Return the median of ``depth / other``, 1 where no pixel is in both."""
    both = known(depth) & known(other)
    return float((depth[both] / other[both]).median()) if bool(both.any()) else 1.0


def build_adaptable_source(config: Config, device: torch.device) -> DepthSource:
    """Return the configured depth source, ungated where `Adaptation` makes its depth metric.

    Raises:
        ConfigError, DepthError: as `build_depth_source`.
    """
    scale = config.refine.scale
    untouched = scale.source == "fixed" and scale.factor == 1.0
    aligned = config.depth.source == "network" and not untouched
    return build_depth_source(config.with_values(_WIDE) if aligned else config, device)
