"""How well weights predict keyframes that they have not learned from."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from e2e_slam_ros.geometry.masks import known, or_one
from e2e_slam_ros.refine.background.labels import RoomLabel

# What is learned is used wholly, partly or not at all.
_BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
# Over a long and over a short time: an older keyframe counts less than the next by this factor.
_LONG, _SHORT = 0.8, 0.4
# Predictions that wait for the depth of their keyframe.
_MOST_WAITING = 16
# A blend must be better than the one in use by this share.
_CLEARLY = 0.02
# Learned weights that are worse than the first ones by this factor have gone astray.
_ASTRAY = 2.0
_FEWEST_JUDGED = 3
# The largest change that was found right is forgotten by this factor from keyframe to keyframe.
_HELD = 0.9
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

        Each blend is compared at the scale that fits the label best: the scale of a keyframe is
        found by motion, and the usual one by the scales of the last keyframes. A blend of weights
        predicts nearly the geometric mean of both depths: no blend needs a prediction of its own.
        """
        weight = label.weight * known(label.depth)
        true = or_one(label.depth, known(label.depth)).log()
        first, learned = self.first.log() - true, self.learned.log() - true
        # The first weights by themselves: NaN of the learned ones would spread to blend 0.
        apart = [torch.lerp(first, learned, blend) if blend else first for blend in _BLENDS]
        shapes = torch.stack([blend - blend[weight > 0].median() for blend in apart])
        sums = (weight * shapes.abs()).flatten(1).sum(1)
        return tuple((sums / weight.sum().clamp_min(1e-6)).tolist())


class MeanErrors:
    """Errors of all blends over a number of keyframes, the older the less.

    Args:
        forgetting: an older keyframe counts less than the next one by this factor.

    Example:
        >>> errors = MeanErrors(forgetting=0.5)
        >>> errors.add((0.2, 0.2, 0.2, 0.2, 0.1))
        >>> errors.best(min_gain=0.2, used=0.0), errors.best(min_gain=1.5, used=0.0)
        (1.0, 0.0)
    """

    def __init__(self, forgetting: float) -> None:
        self._forgetting = forgetting
        self.sums = (0.0,) * len(_BLENDS)

    def add(self, errors: Sequence[float]) -> None:
        """Add the errors of a keyframe."""
        pairs = zip(self.sums, errors, strict=True)
        self.sums = tuple(self._forgetting * old + new for old, new in pairs)

    def best(self, min_gain: float, used: float) -> float:
        """Return the blend with the smallest error; ``used`` where none is clearly better."""
        costs = {
            blend: error * (1.0 + min_gain * blend)
            for blend, error in zip(_BLENDS, self.sums, strict=True)
            if math.isfinite(error)
        }
        best = min(costs, key=lambda blend: costs[blend], default=0.0)
        clearly = used not in costs or costs[best] < (1.0 - _CLEARLY) * costs[used]
        return best if clearly else used


class UnseenErrors:
    """Compares learned weights with the first ones on each new keyframe (prequential: Dawid 1984).

    Both predict a keyframe before it is learned from. Once later keyframes have established its
    depth, their errors are noted; old ones are forgotten by and by. The blend of both weights with
    the smallest error is used; of the best over a long and over a short time, the smaller blend.
    Where the learned weights change the newest keyframe's depth more than it was right to change
    earlier ones, they are not known to hold there, and the blend is smaller.

    Args:
        min_gain: share by which all that was learned must be better, and less in proportion.
        blend: in use at first.

    Attributes:
        best: blend with the smallest error.
        blend: blend to use for the next keyframe: `best`, or less where the newest is unlike those
            before.

    Example:
        >>> image, rays = torch.zeros(1, 3, 8, 8), torch.eye(3)[None]
        >>> steps = torch.linspace(1.0, 2.0, 8).expand(1, 1, 8, 8)
        >>> room = RoomLabel(image, rays, steps, torch.ones(1, 1, 8, 8))
        >>> unseen = UnseenErrors(min_gain=0.05)
        >>> for index in range(4):  # what is learned is right
        ...     unseen.foresee(index, Foreseen(steps.square(), steps))
        ...     unseen.judge(index, room)
        >>> unseen.blend
        1.0
        >>> for index in range(4):  # what is learned is wrong here
        ...     unseen.foresee(index, Foreseen(steps, steps.sqrt()))
        ...     unseen.judge(index, room)
        >>> unseen.blend
        0.0
    """

    def __init__(self, min_gain: float, blend: float = 0.0) -> None:
        self._min_gain = min_gain
        self._waiting: OrderedDict[int, Foreseen] = OrderedDict()
        self._long, self._short = MeanErrors(_LONG), MeanErrors(_SHORT)
        self._judged = 0
        self._held = self._newest = 0.0
        self.best = self.blend = blend

    @property
    def is_astray(self) -> bool:
        """Whether what was learned does more harm than good, or is not finite."""
        first, learned = self._long.sums[0], self._long.sums[-1]
        return self._judged >= _FEWEST_JUDGED and not learned < _ASTRAY * first

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
        for mean in (self._long, self._short):
            mean.add(errors)
        self._judged += 1
        self._held = max(_HELD * self._held, nearest * foreseen.change)
        self._choose()

    def _choose(self) -> None:
        if self._judged == 0:
            return
        self.best = min(mean.best(self._min_gain, self.best) for mean in (self._long, self._short))
        allowed = [blend for blend in _BLENDS if blend * self._newest <= self._held]
        self.blend = min(self.best, max(allowed, default=0.0))
