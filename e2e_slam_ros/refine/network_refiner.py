"""Parameter fine-tuning: the depth network learns from the keyframe (paper 3.1, 3.2, 4.2)."""

from __future__ import annotations

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
from e2e_slam_ros.refine.views import RefineViews, at_width


class NetworkRefiner:
    """Adapts a network in place, so that its next prediction knows the room.

    Weights and Adam's state are carried from keyframe to keyframe, or put back after each.

    Args:
        config: what is adapted, and how fast; with the size of the network's input.
        network: shared with the depth source that gave D_0.

    Raises:
        ConfigError: the size is 0.
    """

    def __init__(self, config: RefineConfig, network: DepthNetwork) -> None:
        _check_size(config)
        self._config = config
        self._network = network
        self._parameters = adapted_parameters(network, config.network.parameters)
        self._base = self.state_dict()
        self._optimiser = self._fresh_optimiser()

    def reconfigure(self, config: RefineConfig) -> None:
        """Go on with other settings; weights and Adam's state stay.

        Which parameters are adapted stays too.
        """
        _check_size(config)
        self._config = config
        for group in self._optimiser.param_groups:
            group["lr"] = config.network.learning_rate

    def run(self, views: RefineViews, width_factor: float) -> tuple[torch.Tensor, Descent]:
        """Adapt to one keyframe; return its depth (1, 1, H, W) in metres and the course.

        D_0 of the regulariser is what the network says before the first step, in the same
        alignment as every D_i. ``views.depth`` is handed back where nothing was changed.

        Args:
            views: checked.
            width_factor: of the working widths, 1 or smaller.
        """
        settings = self._config.network
        working = at_width(views, max(16, round(settings.loss_width * width_factor)))
        height, width = working.depth.shape[-2:]
        given = NetworkInput(
            views.target.image,
            views.target.camera,
            network_size(settings.width, width_factor),
            network_size(settings.height, width_factor),
        )
        held = held_back_pixels(
            height,
            width,
            self._config.guard.held_back,
            views.target.stamp_ns % 2**31,
            working.depth.device,
        )
        with adapting(self._network, self._parameters):
            with torch.no_grad():
                initial = views.alignment(given.depth(self._network, width, height))
            objective = Objective(working, initial, held, self._config)

            def evaluate() -> Evaluation:
                depth = views.alignment(given.depth(self._network, width, height))
                return objective(depth)

            course = descend(
                list(self._parameters.values()),
                evaluate,
                self._optimiser,
                self._config.steps,
                self._config.guard,
            )
            depth = views.depth
            if course.best > 0:
                native = views.depth.shape[-2:]
                with torch.no_grad():
                    depth = views.alignment(given.depth(self._network, native[1], native[0]))
        if settings.reset_per_keyframe:
            self.reset()
        return depth, course

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of the adapted weights by name."""
        return {name: p.detach().clone() for name, p in self._parameters.items()}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put saved weights in; Adam begins anew.

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
                f"= {self._config.network.parameters} adapts",
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
        return torch.optim.Adam(
            list(self._parameters.values()), lr=self._config.network.learning_rate
        )


def _check_size(config: RefineConfig) -> None:
    size = (config.network.width, config.network.height)
    if 0 in size:
        raise ConfigError.from_parts(
            "refine.network.width and height",
            f"{size[0]}x{size[1]}",
            "the size the depth network is used at",
            "give both",
        )
