"""Parameter fine-tuning: the depth network learns from the keyframe (paper 3.1, 3.2, 4.2)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.refine.adaptable import (
    NetworkInput,
    adapted_parameters,
    adapting,
    network_size,
)
from e2e_slam_ros.refine.descent import Descent, descend
from e2e_slam_ros.refine.objective import Evaluation, Objective, held_back_pixels
from e2e_slam_ros.refine.result import LearnedWeights
from e2e_slam_ros.refine.strategy import RefineAttempt
from e2e_slam_ros.refine.views import RefineViews, WorkingViews, at_width


class NetworkStrategy:
    """Adapts a network, so that its next prediction fits the room.

    Weights and Adam's state are carried from keyframe to keyframe. `run` changes neither and
    returns the new ones; `keep` takes them over.

    Args:
        network: shared with the depth source that gave D_0.
        parameters: the parameters to adapt, see `adapted_parameters`.
        learning_rate: of Adam.

    Example:
        >>> from e2e_slam_ros.depth.architecture import Prediction
        >>> class OneNumber(DepthNetwork):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.level = torch.nn.Parameter(torch.tensor(0.5))
        ...     def predict(self, image: torch.Tensor) -> Prediction:
        ...         return Prediction(self.level.expand_as(image[:, :1]), None)
        >>> strategy = NetworkStrategy(OneNumber(), "decoder", learning_rate=1e-3)
        >>> strategy.state_dict()
        {'level': tensor(0.5000)}
        >>> strategy.load_state_dict({"level": torch.tensor(0.25)})
        >>> strategy.reset()
        >>> strategy.state_dict()
        {'level': tensor(0.5000)}
    """

    changes_source = True

    def __init__(self, network: DepthNetwork, parameters: str, learning_rate: float) -> None:
        self._network, self._which = network, parameters
        self._parameters = adapted_parameters(network, parameters)
        self._learning_rate = learning_rate
        self._base = self.state_dict()
        self._optimiser = self._fresh_optimiser()

    def run(self, views: RefineViews, config: RefineConfig, width_factor: float) -> RefineAttempt:
        """Adapt to one keyframe; return its depth, the course and the new weights.

        D_0 of the regulariser is the network's prediction before the first step, at the same
        scale as every D_i. If nothing was changed, ``views.depth`` itself is returned.

        Args:
            views: checked.
            config: of the refinement, with the size of the network's input.
            width_factor: of the working widths, 1 or smaller.

        Raises:
            ConfigError: the size of the network's input is 0.
        """
        _check_size(config)
        settings = config.network
        self._learning_rate = settings.learning_rate
        for group in self._optimiser.param_groups:
            group["lr"] = settings.learning_rate
        working = at_width(views, max(16, round(settings.loss_width * width_factor)))
        height, width = working.depth.shape[-2:]
        given = NetworkInput(
            self._network,
            views.target.image,
            views.target.camera,
            network_size(settings.width, width_factor),
            network_size(settings.height, width_factor),
        )
        held = held_back_pixels(
            height,
            width,
            config.guard.held_back,
            views.target.stamp_ns % 2**31,
            working.depth.device,
        )
        before = self._learned()
        try:
            with adapting(self._network, self._parameters):
                course = self._descend(views, given, working, held, config)
                depth = views.depth
                if course.best > 0:
                    native = views.depth.shape[-2:]
                    with torch.no_grad():
                        predicted = given.depth(self._network, native[1], native[0])
                        depth = views.scale(predicted)
            learned = None if settings.reset_per_keyframe else self._learned()
        finally:
            self.keep(before)
        return RefineAttempt(depth, course, learned if course.best > 0 else None)

    def _descend(
        self,
        views: RefineViews,
        given: NetworkInput,
        working: WorkingViews,
        held: torch.Tensor,
        config: RefineConfig,
    ) -> Descent:
        height, width = working.depth.shape[-2:]
        with torch.no_grad():
            initial = views.scale(given.depth(self._network, width, height))
        objective = Objective(working, initial, held, config)

        def evaluate() -> Evaluation:
            return objective(views.scale(given.depth(self._network, width, height)))

        parameters = list(self._parameters.values())
        return descend(parameters, evaluate, self._optimiser, config.steps, config.guard)

    def keep(self, learned: LearnedWeights) -> None:
        """Take over the weights and Adam's state that `run` returned."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(learned.weights[name])
        self._optimiser.load_state_dict(learned.optimiser)

    def _learned(self) -> LearnedWeights:
        return LearnedWeights(self.state_dict(), copy.deepcopy(self._optimiser.state_dict()))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of the adapted weights by name."""
        return {name: p.detach().clone() for name, p in self._parameters.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Use saved weights; Adam begins anew.

        Raises:
            DepthError: other parameters or shapes, or values that are not finite.
        """
        own = {name: tuple(p.shape) for name, p in self._parameters.items()}
        given = {name: tuple(value.shape) for name, value in state.items()}
        if own != given:
            differing = sorted(n for n in own.keys() | given.keys() if own.get(n) != given.get(n))
            raise DepthError.from_parts(
                "adapted weights",
                f"{len(differing)} other parameters, the first {differing[0]}",
                f"those of {type(self._network).__name__} that refine.network.parameters "
                f"= {self._which} adapts",
                "load them with the settings they were saved with",
            )
        if not all(bool(torch.isfinite(value).all()) for value in state.values()):
            raise DepthError.from_parts(
                "adapted weights", "values that are not finite", "numbers", "use an earlier file"
            )
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(state[name])
        self._optimiser = self._fresh_optimiser()

    def reset(self) -> None:
        """Go back to the weights it began with, and forget Adam's state."""
        self.load_state_dict(self._base)

    def _fresh_optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(list(self._parameters.values()), lr=self._learning_rate)


def _check_size(config: RefineConfig) -> None:
    size = (config.network.width, config.network.height)
    if 0 in size:
        raise ConfigError.from_parts(
            "refine.network.width and height",
            f"{size[0]}x{size[1]}",
            "the size the depth network is used at",
            "give both",
        )
