"""A copy of the depth network that learns from labels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch.func import functional_call

from e2e_slam_ros.config.background import BackgroundConfig
from e2e_slam_ros.depth.architecture import DepthNetwork, depth_from_disparity
from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.refine.adaptable import adapted_parameters
from e2e_slam_ros.refine.background.labels import RoomImage, RoomLabel
from e2e_slam_ros.refine.background.unseen import Foreseen

# Difference of log depth beyond which a pixel pulls no harder: a label may be wrong.
_HUBER = 0.1


class RoomLearner:
    """Learns on a copy; the network in use is only read, and only when this is made.

    Args:
        network: in use, metric; its present weights are where learning begins.
        config: learning rate, parameters that learn.
        first: weights to compare with, by name; None: the present ones.

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
        >>> foreseen = learner.foreseen(wall)
        >>> float(foreseen.first.mean()), float(foreseen.learned.mean()) < 1.7
        (2.0, True)
    """

    def __init__(
        self,
        network: DepthNetwork,
        config: BackgroundConfig,
        first: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self._config = config
        with torch.inference_mode(False):
            self._first = copy.deepcopy(network).eval().requires_grad_(False)
            self._copy = copy.deepcopy(self._first)
        if first is not None:
            _put(self._first, first)
        self._parameters = adapted_parameters(self._copy, config.parameters)
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)
        self._begin()

    def _begin(self) -> None:
        parameters = list(self._parameters.values())
        self._optimiser = torch.optim.Adam(
            parameters, lr=self._config.learning_rate, betas=(0.9, 0.99)
        )

    def step(self, batch: Sequence[RoomLabel]) -> None:
        """Take one step on a batch of labels of one size.

        The loss is Huber's of log depth, weighted by the labels' confidence. A loss that is not
        finite makes the copy begin again.
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
    def foreseen(self, image: RoomImage) -> Foreseen:
        """Return the depths that the first weights and the copy predict for an image."""
        return Foreseen(predicted(self._first, [image]), predicted(self._copy, [image]))

    @torch.no_grad()
    def blended(self, blend: float) -> dict[str, torch.Tensor]:
        """Return weights between the first ones (0) and the copy's (1), by name.

        Weights between two that were learned one from the other often generalise better than
        either (Wortsman et al., CVPR 2022).
        """
        first = dict(self._first.named_parameters())
        if blend == 0.0:
            return {name: first[name].clone() for name in self._parameters}
        return {
            name: torch.lerp(first[name], learned, blend)
            for name, learned in self._parameters.items()
        }

    @property
    def is_finite(self) -> bool:
        """Whether all weights of the copy are finite."""
        return all(bool(torch.isfinite(p).all()) for p in self._parameters.values())

    @torch.no_grad()
    def ratio(
        self, image: RoomImage, new: Mapping[str, torch.Tensor], old: Mapping[str, torch.Tensor]
    ) -> float:
        """Return the median ratio of the depths that two sets of weights predict for an image.

        Weights that are not named are the first ones.
        """
        after, before = (predicted(self._first, [image], weights) for weights in (new, old))
        return float((after / before).median())

    def restart(self) -> None:
        """Begin again with the first weights."""
        _put(self._copy, self.blended(0.0))
        self._begin()


def predicted(
    network: DepthNetwork,
    images: Sequence[RoomImage],
    weights: Mapping[str, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Return the network's depth (B, 1, h, w) for images of one size.

    Args:
        weights: parameters by name that take the place of the network's own.
    """
    batch = torch.cat([image.image for image in images])
    return depth_from_disparity(
        functional_call(network, dict(weights or {}), (batch,)),
        torch.cat([image.intrinsics for image in images]),
        focal_normalised=network.focal_normalised,
    )


@torch.no_grad()
def _put(network: DepthNetwork, weights: Mapping[str, torch.Tensor]) -> None:
    named = dict(network.named_parameters())
    for name, value in weights.items():
        named[name].copy_(value)
