"""How well weights predict keyframes that they have not learned from."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.refine.background.labels import RoomLabel

# What is learned is used wholly, partly or not at all.
_BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
# An older keyframe counts less than the next one by this factor.
_FORGETTING = 0.7
# Predictions that wait for the depth of their keyframe.
_MOST_WAITING = 16
# A blend must be better than the one in use by this share.
_CLEARLY = 0.02
# Learned weights that are worse than the first ones by this factor have gone astray.
_ASTRAY = 1.2
# What is learned may change a new keyframe by this multiple of the change that was found right.
_NOVEL = 1.25
# Smaller changes of log depth are none.
_NO_CHANGE = 1e-6


@dataclass(frozen=True, eq=False)
class Foreseen:
    """Depth that two sets of weights predict for a new keyframe.

    Attributes:
        first: (1, 1, h, w), of the network's first weights.
        learned: (1, 1, h, w), of the weights that learned.

    Example:
        >>> one = torch.ones(1, 1, 2, 2)
        >>> Foreseen(one, 2.0 * one).change > 0.69
        True
    """

    first: torch.Tensor
    learned: torch.Tensor

    @property
    def change(self) -> float:
        """Mean absolute change of log depth by what was learned."""
        return float((self.learned / self.first).log().abs().mean())

    def errors(self, label: RoomLabel) -> tuple[float, ...]:
        """Return the weighted mean error of log depth of each blend of the weights.

        A blend of weights predicts nearly the geometric mean of both depths: no blend needs a
        prediction of its own.
        """
        weight = label.weight * known(label.depth)
        true = or_one(label.depth, known(label.depth)).log()
        total = weight.sum().clamp_min(1e-6)
        first, learned = self.first.log() - true, self.learned.log() - true
        return tuple(
            float((weight * torch.lerp(first, learned, blend).abs()).sum() / total)
            if blend
            else float((weight * first.abs()).sum() / total)
            for blend in _BLENDS
        )


class UnseenErrors:
    """Compares learned weights with the first ones on each new keyframe (prequential: Dawid 1984).

    Both predict a keyframe before it is learned from. Once later keyframes have established its
    depth, their errors are noted; old ones are forgotten by and by. The blend of both weights with
    the smallest error is used. Where what was learned changes the newest keyframe more than it was
    right to change earlier ones, it is not known to hold, and less of it is used.

    Args:
        min_gain: share by which all that was learned must be better, and less in proportion.
        blend: in use at first.

    Attributes:
        best: blend with the smallest error.
        blend: blend to use for the next keyframe: `best`, or less where the newest is unlike those
            before.

    Example:
        >>> wall = RoomLabel(
        ...     torch.zeros(1, 3, 8, 8), torch.eye(3)[None], torch.full((1, 1, 8, 8), 1.6),
        ...     torch.ones(1, 1, 8, 8),
        ... )
        >>> unseen = UnseenErrors(min_gain=0.3)
        >>> for index in range(4):  # what is learned is right
        ...     unseen.foresee(index, Foreseen(1.25 * wall.depth, wall.depth))
        ...     unseen.judge(index, wall)
        >>> unseen.blend
        1.0
        >>> for index in range(4):  # what is learned is wrong here
        ...     unseen.foresee(index, Foreseen(wall.depth, 0.8 * wall.depth))
        ...     unseen.judge(index, wall)
        >>> unseen.blend
        0.0
    """

    def __init__(self, min_gain: float, blend: float = 0.0) -> None:
        self._min_gain = min_gain
        self._waiting: OrderedDict[int, Foreseen] = OrderedDict()
        self._errors = [0.0] * len(_BLENDS)
        self._right = self._count = self._newest = 0.0
        self.best = self.blend = blend

    @property
    def is_astray(self) -> bool:
        """Whether what was learned does more harm than good, or is not finite."""
        return self._count > 1.0 and not self._errors[-1] < _ASTRAY * self._errors[0]

    def foresee(self, index: int, foreseen: Foreseen) -> None:
        """Remember what the weights predict for a keyframe that they have not learned from."""
        self._waiting[index] = foreseen
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)
        self._newest = foreseen.change
        self._choose()

    def judge(self, index: int, label: RoomLabel) -> None:
        """Note the errors of a keyframe's prediction, now that its depth is known.

        A keyframe that was not foreseen is no judge: its neighbours may have been learned from.
        """
        foreseen = self._waiting.pop(index, None)
        if foreseen is None or foreseen.change < _NO_CHANGE:
            return
        errors = foreseen.errors(label)
        nearest = _BLENDS[errors.index(min(errors))]
        self._errors = [
            _FORGETTING * old + new for old, new in zip(self._errors, errors, strict=True)
        ]
        self._right = _FORGETTING * self._right + nearest * foreseen.change
        self._count = _FORGETTING * self._count + 1.0
        self._choose()

    def _choose(self) -> None:
        if self._count == 0.0:
            return
        costs = {
            blend: error * (1.0 + self._min_gain * blend)
            for blend, error in zip(_BLENDS, self._errors, strict=True)
            if math.isfinite(error)
        }
        best = min(costs, key=lambda blend: costs[blend], default=0.0)
        if self.best not in costs or costs[best] < (1.0 - _CLEARLY) * costs[self.best]:
            self.best = best
        held = _NOVEL * self._right / self._count
        allowed = [blend for blend in _BLENDS if blend * self._newest <= held]
        self.blend = min(self.best, max(allowed, default=0.0))
