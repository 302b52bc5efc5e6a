"""The refiners of a run, one for each strategy that was used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.refine.refiner import GuardedRefiner, build_refiner


class Refiners:
    """Refiners by strategy. Each is built when it is first used, and stays for the run.

    Args:
        depth: range of depth.
        network: the depth source's; None: it has none.
        device: where keyframes and network live.

    Example:
        >>> refiners = Refiners(DepthConfig(), None, torch.device("cpu"))
        >>> refiners.of(RefineConfig(strategy="output")).changes_source
        False
    """

    def __init__(
        self, depth: DepthConfig, network: DepthNetwork | None, device: torch.device
    ) -> None:
        self._depth, self._network, self._device = depth, network, device
        self._built: dict[str, GuardedRefiner] = {}

    def of(self, config: RefineConfig) -> GuardedRefiner:
        """Return the refiner of ``config.strategy``, which is not "none".

        Raises:
            ConfigError: see `check_strategy`.
        """
        if config.strategy not in self._built:
            refiner = build_refiner(config, self._depth, self._network, self._device)
            assert refiner is not None
            self._built[config.strategy] = refiner
        return self._built[config.strategy]

    def reset(self) -> None:
        """Go back to the first weights."""
        for refiner in self._built.values():
            refiner.reset()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return copies of the adapted weights by name; empty where none were adapted."""
        weights: dict[str, torch.Tensor] = {}
        for refiner in self._built.values():
            weights |= refiner.state_dict()
        return weights

    def load_state_dict(self, weights: Mapping[str, torch.Tensor], config: RefineConfig) -> None:
        """Take up adapted weights; without any the network is put back to its first ones.

        Without a network weights are of no use and left out.

        Raises:
            DepthError: weights of another network or other settings, or values that are not
                finite.
        """
        if weights and self._network is not None:
            self.of(replace(config, strategy="network")).load_state_dict(weights)
        elif "network" in self._built:
            self._built["network"].reset()
