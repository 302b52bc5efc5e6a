"""One interface for both ways of refining depth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import torch

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.refine.descent import Descent
from e2e_slam_ros.refine.guard import checked
from e2e_slam_ros.refine.network_strategy import NetworkStrategy
from e2e_slam_ros.refine.output_strategy import OutputStrategy
from e2e_slam_ros.refine.result import RefineOutcome, Refusal, StopReason, refusal
from e2e_slam_ros.refine.strategy import RefineAttempt, RefineStrategy
from e2e_slam_ros.refine.views import RefineViews

# The working size is halved for want of memory down to this share of it.
_SMALLEST = 1.0 / 8.0


class Refiner(Protocol):
    """Corrects the depth of keyframes."""

    @property
    def changes_source(self) -> bool:
        """Whether learned weights change the depth source's later answers."""
        ...

    def refine(self, views: RefineViews, config: RefineConfig) -> RefineOutcome:
        """Return the refined depth, or the unrefined depth with the reason. Changes no state."""
        ...

    def keep(self, outcome: RefineOutcome) -> None:
        """Learn from a keyframe that was mapped."""
        ...

    def reset(self) -> None:
        """Forget everything learned."""
        ...

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the learned state, to be saved with the map; empty if nothing is kept."""
        ...

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up saved state.

        Raises:
            DepthError: it was saved with other settings, or is not finite.
        """
        ...


class GuardedRefiner:
    """Runs a strategy: refuses bad input, copes with too little memory, measures time.

    Args:
        strategy: corrects the depth.
        near_m, far_m: the range of depth that is used, metres.

    Example:
        >>> from e2e_slam_ros.data.keyframe import Keyframe
        >>> from e2e_slam_ros.data.keyframe import KeyframeDecision
        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> camera = PinholeCamera(width=64, height=48, fx=60.0, fy=60.0, cx=31.5, cy=23.5)
        >>> decision, depth = KeyframeDecision(True, "first"), torch.full((1, 1, 48, 64), 2.3)
        >>> def seen_from(x_m: float) -> Keyframe:  # a patterned wall at 2 m
        ...     x = (torch.arange(64.0) - camera.cx) / camera.fx * 2.0 + x_m
        ...     image = (0.5 + 0.3 * torch.sin(9.0 * x)).expand(1, 3, 48, 64)
        ...     pose = torch.eye(4, dtype=torch.float64)
        ...     pose[0, 3] = x_m
        ...     return Keyframe(0, 0, 0, image, camera, pose, None, decision)
        >>> views = RefineViews(seen_from(0.0), (seen_from(-0.1), seen_from(0.1)), depth)
        >>> refiner, config = GuardedRefiner(OutputStrategy()), RefineConfig(strategy="output")
        >>> refiner.refine(views, config).changed
        True
        >>> alone = refiner.refine(replace(views, sources=()), config)
        >>> str(alone.refused), alone.depth is depth
        ('no sources', True)
    """

    def __init__(self, strategy: RefineStrategy, near_m: float = 0.1, far_m: float = 50.0) -> None:
        self._strategy = strategy
        self._range = (near_m, far_m)
        self._width_factor = 1.0
        self._told = False

    @property
    def changes_source(self) -> bool:
        """Whether learned weights change the depth source's later answers."""
        return self._strategy.changes_source

    def refine(self, views: RefineViews, config: RefineConfig) -> RefineOutcome:
        """Return the refined depth; bad input gives a refusal, never an exception."""
        start = time.perf_counter()
        # The mapping thread is in inference mode, where nothing can be differentiated.
        with torch.inference_mode(False), torch.enable_grad():
            if config.steps == 0:
                return refusal(views.depth, Refusal.NO_STEPS)
            usable = checked(views, config.guard, *self._range)
            if isinstance(usable, Refusal):
                return refusal(views.depth, usable, time.perf_counter() - start)
            attempt, notice = self._within_memory(
                lambda factor: self._strategy.run(usable, config, factor)
            )
        seconds = time.perf_counter() - start
        if attempt is None:
            return refusal(views.depth, Refusal.OUT_OF_MEMORY, seconds)
        if attempt.course.refused is not None:
            return refusal(views.depth, attempt.course.refused, seconds)
        return _outcome(views.depth, attempt, seconds, notice)

    def keep(self, outcome: RefineOutcome) -> None:
        """Take over the weights that a refinement found."""
        # Copies made in inference mode could not be adapted any further.
        if outcome.learned is not None:
            with torch.inference_mode(False):
                self._strategy.keep(outcome.learned)

    def reset(self) -> None:
        """Go back to the first weights and the full working size."""
        self._width_factor, self._told = 1.0, False
        with torch.inference_mode(False):
            self._strategy.reset()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of the adapted weights; empty for the output strategy."""
        return self._strategy.state_dict()

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up adapted weights; see `Refiner`."""
        with torch.inference_mode(False):
            self._strategy.load_state_dict(state)

    def _within_memory(
        self, run: Callable[[float], RefineAttempt]
    ) -> tuple[RefineAttempt | None, str | None]:
        """Run at the largest size that fits. A smaller size stays, and the notice comes once."""
        while self._width_factor >= _SMALLEST:
            try:
                attempt = run(self._width_factor)
            except torch.cuda.OutOfMemoryError:
                self._width_factor /= 2
            else:
                return attempt, self._notice()
            # Outside the handler: the exception would keep the tensors that filled the memory.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return None, None

    def _notice(self) -> str | None:
        if self._width_factor == 1.0 or self._told:
            return None
        self._told = True
        return (
            f"not enough GPU memory: refinement goes on at 1/{round(1 / self._width_factor)} of "
            "its working size"
        )


def _outcome(
    initial: torch.Tensor, attempt: RefineAttempt, seconds: float, notice: str | None
) -> RefineOutcome:
    depth, course, learned = attempt.depth, attempt.course, attempt.learned
    if not bool(torch.isfinite(depth).all()):
        depth, learned = initial, None
        course = Descent(
            course.trace, course.held_back, 0, course.steps_done, StopReason.NOT_FINITE
        )
    return RefineOutcome(
        depth=depth,
        trace=course.trace,
        held_back=course.held_back,
        best=course.best,
        steps_done=course.steps_done,
        stopped=course.stopped,
        refused=None,
        seconds=seconds,
        notice=notice,
        learned=learned,
    )


def check_strategy(config: RefineConfig, network: DepthNetwork | None) -> None:
    """Refuse a strategy that the depth source cannot follow.

    Raises:
        ConfigError: the network strategy without a network that can learn, or an unknown
            strategy.
    """
    if config.strategy not in ("auto", "none", "output", "network"):
        raise ConfigError.from_parts(
            "refine.strategy", repr(config.strategy), "auto, none, output or network", "choose one"
        )
    if config.strategy == "network" and network is None:
        raise ConfigError.from_parts(
            "refine.strategy",
            "'network' with a depth source that has no network",
            "depth.source: network",
            "set it, or use refine.strategy: output, which needs no network",
        )
    if config.strategy == "network" and network is not None and not network.adaptable:
        raise ConfigError.from_parts(
            "refine.strategy",
            "'network' with a depth network that no gradients flow through (ONNX)",
            "none, output or auto",
            "choose one of these, or use the network in depth.network.architecture: transformers",
        )


def network_notices(config: RefineConfig, network: DepthNetwork | None) -> tuple[str, ...]:
    """Return what to tell the user about the network when it is first used."""
    if network is None or network.adaptable or config.strategy != "auto":
        return () if network is None else network.notices
    frozen = "the depth network cannot learn the room (refine.strategy: auto): it stays as it is"
    return (*network.notices, frozen)


def build_refiner(
    config: RefineConfig, depth: DepthConfig, network: DepthNetwork | None, device: torch.device
) -> GuardedRefiner | None:
    """Return the configured refiner, or None where the strategy is "none".

    Args:
        config: see `RefineConfig`.
        depth: range of depth.
        network: the depth source's; the network strategy adapts it.
        device: where keyframes and network live.

    Raises:
        ConfigError: see `check_strategy`.
    """
    check_strategy(config, network)
    if not config.refines_keyframes:
        return None
    strategy: RefineStrategy = OutputStrategy()
    if config.strategy == "network":
        assert network is not None
        settings = config.network
        with torch.inference_mode(False):
            strategy = NetworkStrategy(
                network.to(device), settings.parameters, settings.learning_rate
            )
    return GuardedRefiner(strategy, depth.min_m, depth.max_m)


def sized_as_predicted(config: RefineConfig, depth: DepthConfig) -> RefineConfig:
    """Return settings that adapt the network at the input size of its predictions."""
    used, given = depth.network, config.network
    width, height = given.width or used.width, given.height or used.height
    return replace(config, network=replace(given, width=width, height=height))
