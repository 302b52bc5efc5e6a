"""A copy of the depth network that learns from labels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch

from e2e_slam_ros.config.background import BackgroundConfig
from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.refine.adaptable import adapted_parameters
from e2e_slam_ros.refine.background.labels import RoomLabel

# A copy whose error in held-back keyframes is larger by this factor has diverged.
_DIVERGED = 1.2
# Difference of log depth beyond which a pixel pulls no harder: a label may be wrong.
_HUBER = 0.1


@dataclass(frozen=True, eq=False)
class LearnedRoom:
    """Weights that predict held-back keyframes better than those in use.

    Attributes:
        weights: by name, those that learned.
        error, before: mean error of log depth in held-back keyframes, of these and of the
            weights in use.
        ratio: median of the new predictions over the old ones.

    Example:
        >>> LearnedRoom({}, error=0.1, before=0.2, ratio=1.0).gain
        0.5
    """

    weights: dict[str, torch.Tensor]
    error: float
    before: float
    ratio: float

    @property
    def gain(self) -> float:
        """Share by which the error fell."""
        return 1.0 - self.error / self.before


class RoomLearner:
    """Learns on a copy; the network in use is only read.

    Args:
        network: in use, metric.
        config: learning rate, batch, gain.

    Example:
        >>> from e2e_slam_ros.depth.architecture import Prediction
        >>> class OneNumber(DepthNetwork):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.level = torch.nn.Parameter(torch.tensor(0.5))
        ...     def predict(self, image: torch.Tensor) -> Prediction:
        ...         return Prediction(self.level.expand_as(image[:, :1]), None)
        >>> wall = RoomLabel(  # it is at 1.6 m; the network says 2 m
        ...     torch.zeros(1, 3, 8, 8), torch.eye(3)[None], torch.full((1, 1, 8, 8), 1.6),
        ...     torch.ones(1, 1, 8, 8),
        ... )
        >>> learner = RoomLearner(OneNumber(), BackgroundConfig(learning_rate=1e-2))
        >>> for _ in range(10):
        ...     learner.step([wall])
        >>> learned = learner.judged([wall])
        >>> learned.error < 0.06 < 0.2 < learned.before
        True
    """

    def __init__(self, network: DepthNetwork, config: BackgroundConfig) -> None:
        self._network, self._config = network, config
        self._copy = copy.deepcopy(network).eval()
        self._parameters = adapted_parameters(self._copy, config.parameters)
        for name, parameter in self._copy.named_parameters():
            parameter.requires_grad_(name in self._parameters)
        self._optimiser = self._fresh_optimiser()
        # Predictions of the network in use for held-back keyframes.
        self._used: WeakKeyDictionary[RoomLabel, torch.Tensor] = WeakKeyDictionary()

    def step(self, batch: Sequence[RoomLabel]) -> None:
        """Take one step on a batch of labels of one size.

        The loss is Huber's of log depth, weighted by the labels' confidence.
        """
        with torch.inference_mode(False), torch.enable_grad():
            depth = predicted(self._copy, batch)
            labels = torch.cat([label.depth for label in batch])
            weight = torch.cat([label.weight for label in batch]) * known(labels)
            apart = (depth.log() - or_one(labels, known(labels)).log()).abs()
            inside = apart.clamp_max(_HUBER)
            loss = (weight * inside * (apart - 0.5 * inside)).sum() / (_HUBER * weight.sum())
            self._optimiser.zero_grad()
            if not bool(torch.isfinite(loss)):
                self.restart()
                return
            loss.backward()
            self._optimiser.step()

    @torch.no_grad()
    def judged(self, held_back: Sequence[RoomLabel]) -> LearnedRoom | None:
        """Return the copy's weights if they predict held-back keyframes better.

        A copy that has become much worse begins again with the weights in use.
        """
        if not held_back:
            return None
        for label in held_back:
            if label not in self._used:
                self._used[label] = predicted(self._network, [label])
        now = [predicted(self._copy, [label]) for label in held_back]
        used = [self._used[label] for label in held_back]
        error, before = _mean_error(now, held_back), _mean_error(used, held_back)
        if not error < _DIVERGED * before:
            self.restart()
            return None
        if error > (1.0 - self._config.min_gain) * before:
            return None
        ratio = torch.cat([(a / b).flatten() for a, b in zip(now, used, strict=True)]).median()
        weights = {name: p.detach().clone() for name, p in self._parameters.items()}
        return LearnedRoom(weights, error, before, float(ratio))

    def network_changed(self) -> None:
        """Note that the network in use has other weights."""
        self._used.clear()

    @torch.no_grad()
    def restart(self) -> None:
        """Begin again with the weights in use."""
        used = dict(self._network.named_parameters())
        for name, parameter in self._parameters.items():
            parameter.copy_(used[name])
        self._optimiser = self._fresh_optimiser()

    def _fresh_optimiser(self) -> torch.optim.Optimizer:
        parameters = list(self._parameters.values())
        return torch.optim.Adam(parameters, lr=self._config.learning_rate, betas=(0.9, 0.99))


def predicted(network: DepthNetwork, labels: Sequence[RoomLabel]) -> torch.Tensor:
    """Return the network's depth (B, 1, h, w) for the labels' images."""
    return depth_from_disparity(
        network(torch.cat([label.image for label in labels])),
        torch.cat([label.intrinsics for label in labels]),
        focal_normalised=network.focal_normalised,
    )


def _mean_error(depths: Sequence[torch.Tensor], labels: Sequence[RoomLabel]) -> float:
    """Return the weighted mean error of log depth, mean over keyframes."""
    errors = []
    for depth, label in zip(depths, labels, strict=True):
        weight = label.weight * known(label.depth)
        apart = (depth.log() - or_one(label.depth, known(label.depth)).log()).abs()
        errors.append((weight * apart).sum() / weight.sum().clamp_min(1e-6))
    return float(torch.stack(errors).mean())
