"""One interface for both ways of refining depth."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.refine.descent import Descent
from e2e_slam_ros.refine.guard import checked
from e2e_slam_ros.refine.network_refiner import NetworkRefiner
from e2e_slam_ros.refine.output_refiner import OutputRefiner
from e2e_slam_ros.refine.result import RefineOutcome, Refusal, StopReason, refusal
from e2e_slam_ros.refine.views import RefineViews

# How often the working size may be halved for want of memory.
_SMALLEST = 1.0 / 8.0


class Refiner(Protocol):
    """Corrects the depth of keyframes."""

    def reconfigure(self, config: RefineConfig) -> None:
        """Take other steps, rates, weights and limits; what was learned stays."""
        ...

    def refine(self, views: RefineViews) -> RefineOutcome:
        """Return the refined depth, or the unrefined with the reason."""
        ...

    def reset(self) -> None:
        """Forget all that was learned."""
        ...

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what was learned, to be saved with the map; empty if nothing is kept."""
        ...

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up what was saved.

        Raises:
            DepthError: it was saved by other settings, or is not finite.
        """
        ...


class GuardedRefiner:
    """A strategy with everything around it: refusals, memory, time.

    Args:
        config: of the refinement.
        strategy: does the work.
        near_m, far_m: the range of depth that is used, metres.
    """

    def __init__(
        self,
        config: RefineConfig,
        strategy: OutputRefiner | NetworkRefiner,
        near_m: float = 0.1,
        far_m: float = 50.0,
    ) -> None:
        self._config, self._strategy = config, strategy
        self._range = (near_m, far_m)
        self._width_factor = 1.0
        self._told = False

    def reconfigure(self, config: RefineConfig) -> None:
        """Go on with other settings; not while `refine` runs."""
        self._config = config
        self._strategy.reconfigure(config)

    def refine(self, views: RefineViews) -> RefineOutcome:
        """Return the refined depth; never raises for bad input, says what was wrong instead."""
        start = time.perf_counter()
        # The mapping thread is in inference mode, where nothing can be differentiated.
        with torch.inference_mode(False), torch.enable_grad():
            if self._config.steps == 0:
                return refusal(views.depth, Refusal.NO_STEPS)
            usable = checked(views, self._config.guard, *self._range)
            if isinstance(usable, Refusal):
                return refusal(views.depth, usable, time.perf_counter() - start)
            answer, notice = self._within_memory(lambda factor: self._strategy.run(usable, factor))
        seconds = time.perf_counter() - start
        if answer is None:
            return refusal(views.depth, Refusal.OUT_OF_MEMORY, seconds)
        depth, course = answer
        if course.refused is not None:
            return refusal(views.depth, course.refused, seconds)
        return _outcome(views.depth, depth, course, seconds, notice)

    def reset(self) -> None:
        """Go back to the first weights and the full working size."""
        self._width_factor, self._told = 1.0, False
        if isinstance(self._strategy, NetworkRefiner):
            self._strategy.reset()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of the adapted weights; empty for the output strategy."""
        if isinstance(self._strategy, NetworkRefiner):
            return self._strategy.state_dict()
        return {}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take up adapted weights; see `Refiner`."""
        if isinstance(self._strategy, NetworkRefiner):
            self._strategy.load_state_dict(state)

    def _within_memory(
        self, run: Callable[[float], tuple[torch.Tensor, Descent]]
    ) -> tuple[tuple[torch.Tensor, Descent] | None, str | None]:
        """Run at the largest size that fits; the smaller size stays, and is told once."""
        while self._width_factor >= _SMALLEST:
            try:
                answer = run(self._width_factor)
            except torch.cuda.OutOfMemoryError:
                self._width_factor /= 2
            else:
                return answer, self._notice()
            # Outside the handler: the exception would hold on to what filled the memory.
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
    initial: torch.Tensor,
    depth: torch.Tensor,
    course: Descent,
    seconds: float,
    notice: str | None,
) -> RefineOutcome:
    if not bool(torch.isfinite(depth).all()):
        depth, course = initial, _without_result(course)
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
    )


def _without_result(course: Descent) -> Descent:
    return Descent(course.trace, course.held_back, 0, course.steps_done, StopReason.NOT_FINITE)


def build_refiner(
    config: RefineConfig,
    network: DepthNetwork | None,
    device: torch.device,
    near_m: float = 0.1,
    far_m: float = 50.0,
) -> GuardedRefiner | None:
    """Return the configured refiner, or None where the strategy is "none".

    Args:
        config: see `RefineConfig`.
        network: the depth source's; needed by the network strategy, which adapts it in place.
        device: where keyframes and network live.
        near_m, far_m: the range of depth that is used, metres.

    Raises:
        ConfigError: the network strategy without a network, or an unknown strategy.
    """
    if config.strategy == "none":
        return None
    if config.strategy == "output":
        return GuardedRefiner(config, OutputRefiner(config), near_m, far_m)
    if config.strategy != "network":
        raise ConfigError.from_parts(
            "refine.strategy", repr(config.strategy), "none, output or network", "choose one"
        )
    if network is None:
        raise ConfigError.from_parts(
            "refine.strategy",
            "'network' without a depth network",
            "depth.source: network",
            "set it, or use refine.strategy: output, which needs none",
        )
    strategy = NetworkRefiner(config, network.to(device))
    return GuardedRefiner(config, strategy, near_m, far_m)
