"""From a depth source's answer to the depth that is fused: metric scale, then refinement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.build import build_depth_source
from e2e_slam_ros.depth.gate import gate_depth, require_depth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.errors import ConfigError, DepthError
from e2e_slam_ros.losses.masked import known
from e2e_slam_ros.refine.alignment import Alignment
from e2e_slam_ros.refine.config import RefineConfig
from e2e_slam_ros.refine.history import KeyframeHistory, Remembered
from e2e_slam_ros.refine.labels import motion_labels
from e2e_slam_ros.refine.metric_scale import MetricScale
from e2e_slam_ros.refine.outcome import RefineOutcome
from e2e_slam_ros.refine.refiner import GuardedRefiner, build_refiner
from e2e_slam_ros.refine.tally import RefinementTally
from e2e_slam_ros.refine.views import RefineViews, SparseLabels

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
        # Sensors measure metres, and so does a plane sweep of known motion.
        self._aligned = source.name not in ("sensor", "motion_stereo")
        self._scale = MetricScale(config.refine, config.depth.min_m, config.depth.max_m)
        self._history = KeyframeHistory(_KEPT + config.refine.wait_keyframes)
        self._refiners: dict[str, GuardedRefiner] = {}
        self._pending: RefineConfig | None = None
        self.tally = RefinementTally()
        self.check(config.refine)

    @property
    def alignment(self) -> Alignment | None:
        """The last alignment that was found, or None."""
        return self._scale.last

    @property
    def active(self) -> bool:
        """Whether depth is aligned or refined at all."""
        return not self._idle(self._pending or self._config)

    @property
    def wants_map(self) -> bool:
        """Whether the surfels in view are of any use to `refine`."""
        config = self._pending or self._config
        return config.strategy != "none" and config.weights.chamfer > 0

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
    ) -> AdaptedDepth:
        """Return the newest keyframe's metric, refined depth and remember it as a neighbour.

        Args:
            keyframe: later than all before.
            unrefined: the source's answer; ungated where it is to be aligned.
            map_points: (N, 3) metres, map frame: surfels in view; or None.
            truth: (1, 1, H, W) metres, 0 = unknown; for "groundtruth_median" alone.

        Raises:
            ConfigError: "groundtruth_median" without ``truth``.
            DepthError: no pixel is within the depth range once it is metric, or nothing is known
                yet of the scale of a network that has none.
        """
        self._settle()
        if self._idle(self._config):
            return AdaptedDepth(keyframe, unrefined, unrefined, None, None)
        item = Remembered(keyframe, unrefined, None, truth)
        neighbours = self._history.before(keyframe, self._config.neighbours, self._least_m(item))
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
        if item is None or item.unrefined is None or self._refiner() is None:
            return None
        least_m, count = self._least_m(item), self._config.neighbours
        after = self._history.after(item.keyframe, count, least_m)
        before = self._history.before(item.keyframe, count, least_m)
        points = None if map_points is None else map_points(item.keyframe)
        adapted = self._adapt(item, [*after, *before], points)
        if adapted.outcome is None or not adapted.outcome.changed:
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
        self._scale.take_up(None)
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
        last = self._scale.last
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
        self._scale.take_up(alignment)

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
        self._scale.config = self._config
        for refiner in self._refiners.values():
            refiner.reconfigure(self._config)

    def _idle(self, config: RefineConfig) -> bool:
        scale = config.scale
        untouched = not self._aligned or (scale.source == "fixed" and scale.factor == 1.0)
        return untouched and config.strategy == "none"

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
        """Align, then refine."""
        assert item.unrefined is not None
        refiner, given = self._refiner(), item.unrefined
        views = RefineViews(
            target=item.keyframe,
            sources=tuple(other.keyframe for other in neighbours),
            depth=given.depth,
            source_depths=tuple(other.depth for other in neighbours),
            map_points=map_points,
            labels=self._labels(item.keyframe, neighbours),
        )
        unrefined, alignment, notices = self._align(item, views)
        if refiner is None:
            return AdaptedDepth(item.keyframe, unrefined, unrefined, alignment, None, notices)
        raw = (alignment or Alignment()).after(self._depth.network.scale)
        outcome = refiner.refine(replace(views, depth=unrefined.depth, alignment=raw))
        estimate = unrefined
        if outcome.changed:
            depth = gate_depth(outcome.depth, self._depth)
            if bool((depth > 0).any()):
                estimate = replace(unrefined, depth=depth)
        if outcome.notice is not None:
            notices = (*notices, outcome.notice)
        return AdaptedDepth(item.keyframe, unrefined, estimate, alignment, outcome, notices)

    def _align(
        self, item: Remembered, views: RefineViews
    ) -> tuple[DepthEstimate, Alignment | None, tuple[str, ...]]:
        """Return the depth in metres within the range that is used."""
        given = item.unrefined
        assert given is not None
        if not self._aligned:
            return given, None, ()
        found = self._scale.find(views, item.truth, given.scale_source)
        if found.unknown and self._network is not None and not self._network.metric:
            raise DepthError.from_parts(
                f"scale of keyframe {item.keyframe.index}",
                found.notice,
                "one found before, from a network whose depth has no scale of its own",
                "move the camera sideways, or give refine.scale.source: fixed",
            )
        metric = torch.where(known(given.depth), found.alignment(given.depth), 0.0)
        metric = gate_depth(metric, self._depth)
        require_depth(metric, self._depth, item.keyframe)
        estimate = replace(given, depth=metric, scale_source=found.words)
        # A first keyframe has no neighbours: nothing to report.
        told = found.notice is not None and bool(views.sources)
        return estimate, found.alignment, (str(found.notice),) if told else ()

    def _labels(self, keyframe: Keyframe, neighbours: list[Remembered]) -> SparseLabels | None:
        """Return the points of known depth that scale and refinement go by."""
        source = self._config.scale.source
        measured = keyframe.sensor_depth
        if not self._aligned and self._source.name == "sensor":
            source = "depth_topic"
        wanted = self._config.strategy != "none" and self._config.weights.labels > 0
        if source == "depth_topic":
            if measured is None:
                return None
            depth = gate_depth(measured, self._depth)
            return SparseLabels(depth, (depth > 0).to(depth))
        if wanted or (self._aligned and source == "motion"):
            views = [other.keyframe for other in neighbours]
            return motion_labels(keyframe, views, self._depth)
        return None

    def _least_m(self, item: Remembered) -> float:
        """Return the distance to a neighbour that parallax asks for, by the depth so far."""
        assert item.unrefined is not None
        depth = item.unrefined.depth
        last = self._scale.last if self._aligned else None
        metric = depth if last is None else last(depth)
        used = known(depth)
        if not bool(used.any()):
            return 0.0
        return self._config.guard.min_parallax * float(metric[used].median())


def build_adaptable_source(config: Config, device: torch.device) -> DepthSource:
    """Return the configured depth source, ungated where `Adaptation` makes its depth metric.

    Raises:
        ConfigError, DepthError: as `build_depth_source`.
    """
    scale = config.refine.scale
    untouched = scale.source == "fixed" and scale.factor == 1.0
    aligned = config.depth.source == "network" and not untouched
    return build_depth_source(config.with_values(_WIDE) if aligned else config, device)
