"""The scales of the last keyframes; a new scale is compared with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.refine.scale import Scale
from e2e_slam_ros.refine.scale_estimators import ScaleEstimator
from e2e_slam_ros.refine.views import RefineViews

# Standard deviation of the logarithm of a keyframe's scale around the usual one, of the usual
# one's change from keyframe to keyframe, and of the usual one around 1 before any scale is found,
# for a network that roughly knows metres.
_CHANGE, _DRIFT, _ROUGHLY = 0.12, 0.04, 0.3
# The usual scale of such a network returns to 1 by this factor where nothing holds it, and is then
# known to within this deviation. One that is farther off than the last number shows that poses and
# network have different units, and stays.
_RETURN, _METRIC, _OTHER_UNIT = 0.85, 0.12, 0.4
# A scale farther from the usual one than so many standard deviations is refused, until so many
# keyframes in a row say the same.
_GROSS, _AGREED = 3.0, 3
# Degrees of freedom of the errors of scales.
_TAILS = 4.0
# Least standard deviation of the scale to expect, where other keyframes' depth tells it: they hand
# on the same errors.
_HANDED_ON = 0.09


@dataclass(frozen=True)
class ScaleHistory:
    """The scales of the last keyframes. Immutable: a new keyframe makes a new history.

    The logarithm of the usual scale is a random walk, and a keyframe's scale scatters around it
    (Kalman 1960). See also `passed`.

    Attributes:
        last: scale of the keyframe before; None: none is known.
        mean: natural logarithm of the usual factor; None: no factor was found.
        variance: of ``mean``.
        refused: logarithms of the last scales, the oldest first, that contradicted the usual one;
            empty if the last one did not.

    Example:
        >>> history = ScaleHistory().with_found(Scale(2.0), max_change=0.3)
        >>> history.last.factor, round(history.usual.factor, 6)
        (2.0, 2.0)
    """

    last: Scale | None = None
    mean: float | None = None
    variance: float = 0.0
    refused: tuple[float, ...] = ()

    @staticmethod
    def starting_from(scale: Scale | None) -> ScaleHistory:
        """Return the history that knows one scale, or none."""
        if scale is None or scale.inverse:
            return ScaleHistory(scale)
        return ScaleHistory(scale, math.log(scale.factor), _CHANGE**2)

    @property
    def usual(self) -> Scale | None:
        """The usual scale, for a keyframe without a scale of its own."""
        if self.last is None or self.last.inverse or self.mean is None:
            return self.last
        return replace(self.last, factor=math.exp(self.mean))

    def with_found(
        self,
        found: Scale,
        max_change: float = 0.0,
        roughly_metric: bool = False,
        seen: Scale | None = None,
    ) -> ScaleHistory:
        """Return the history with a new scale, held near the last ones.

        Few neighbours, a short baseline or a wall without texture give a scale that is far off. A
        new scale and the expected one are therefore averaged, each weighted by its inverse
        variance, and the mean is limited. The farther a scale is off, the less it counts: errors
        have long tails (Student's t, Lange et al. 1989). A scale that contradicts the expected
        one is refused, and the keyframe gets the expected one, until several keyframes in a row
        agree.

        Args:
            found: of the newest keyframe.
            max_change: largest relative difference from the expected scale; 0: any, no average.
            roughly_metric: the usual factor is 1 as long as no other is known.
            seen: its scale from other keyframes' depth; None: the usual one is expected.
        """
        most = math.log1p(max_change)
        if most == 0.0 or found.inverse:
            return replace(self, last=found, refused=())
        if self.mean is None and not roughly_metric:
            return ScaleHistory(found, math.log(found.factor), _CHANGE**2 + found.sigma**2)
        before = self.passed() if roughly_metric else self
        usual, variance = before._usual_or_rough()
        here, noise = math.log(found.factor), found.sigma**2
        center, own = before._expected(seen)
        off, agreed = here - center, False
        if self.mean is not None and off**2 > _GROSS**2 * (own + noise):
            refused = (*self.refused, here)[-_AGREED:]
            if not _agree(refused, center, _GROSS * math.sqrt(2.0 * (_CHANGE**2 + noise))):
                return replace(self, last=replace(found, factor=math.exp(center)), refused=refused)
            variance, agreed = _ROUGHLY**2, True
            center, own, off = usual, variance + _CHANGE**2, here - usual
        trust = 1.0 if agreed or self.mean is None else _trust(off**2 / (own + noise))
        newest = center + trust * off * own / (own + noise)
        share = trust * variance / (variance + _CHANGE**2 + noise)
        middle = usual + share * (here - usual) if agreed or self.mean is None else center
        held = min(max(newest, middle - most), middle + most)
        left = variance * (1.0 - share) + _DRIFT**2
        return ScaleHistory(
            replace(found, factor=math.exp(held)), usual + share * (here - usual), left
        )

    def expected(self, seen: Scale) -> Scale:
        """Return the scale to expect of a keyframe that has none of its own.

        The usual one does not follow it: other keyframes' depth holds no news of the network.

        Args:
            seen: its scale from other keyframes' depth.
        """
        return replace(seen, factor=math.exp(self._expected(seen)[0]))

    def _expected(self, seen: Scale | None) -> tuple[float, float]:
        """Return mean and variance of the logarithm of a keyframe's scale before it is found.

        The usual scale and ``seen`` are averaged, each weighted by its inverse variance. However
        sure they are together, the errors of ``seen`` are those of the keyframes before.
        """
        mean, variance = self._usual_or_rough()
        own = variance + _CHANGE**2
        if seen is None:
            return mean, own
        gain = own / (own + seen.sigma**2)
        expected = mean + gain * (math.log(seen.factor) - mean)
        return expected, max(own * (1.0 - gain), _HANDED_ON**2)

    def _usual_or_rough(self) -> tuple[float, float]:
        """Return mean and variance of the logarithm of the usual scale."""
        return (0.0, _ROUGHLY**2) if self.mean is None else (self.mean, self.variance)

    def passed(self) -> ScaleHistory:
        """Return the history after a keyframe, for a network that roughly knows metres.

        Its usual scale returns towards 1: a few wrong scales do not hold for long. This is an
        Ornstein-Uhlenbeck process (Uhlenbeck and Ornstein 1930) in place of the random walk.
        """
        if self.mean is None or abs(self.mean) > _OTHER_UNIT:
            return self
        kept = _RETURN**2
        variance = kept * self.variance + (1.0 - kept) * _METRIC**2
        return replace(self, mean=_RETURN * self.mean, variance=variance)

    def followed(self, factor: float) -> ScaleHistory:
        """Return the history for a network whose depth became ``factor`` times as large."""
        moved = math.log(factor)
        last = None if self.last is None else self.last.of_larger(factor)
        mean = None if self.mean is None else self.mean - moved
        return replace(
            self, last=last, mean=mean, refused=tuple(value - moved for value in self.refused)
        )


def _trust(square: float) -> float:
    """Return the weight of a scale, 1 at most, by the square of its normalised distance."""
    return min(1.0, (_TAILS + 1.0) / (_TAILS + square))


def _agree(refused: tuple[float, ...], usual: float, reach: float) -> bool:
    """Return whether several scales lie together on one side of the usual one."""
    one_side = max(refused) < usual or min(refused) > usual
    return len(refused) == _AGREED and one_side and max(refused) - min(refused) < reach


@dataclass(frozen=True)
class FoundScale:
    """The scale of one keyframe and its origin.

    Attributes:
        scale: None: no scale is known.
        words: the origin of the metres, for `DepthEstimate.scale_source`.
        history: including this keyframe.
        notice: the reason that this keyframe has no scale of its own; or None.
        contradicted: its labels contradict the scales of the last keyframes: they are not used.

    Example:
        >>> history = ScaleHistory().with_found(Scale(2.0))
        >>> found = FoundScale(history.last, "motion", history)
        >>> found.scale.factor, found.notice is None
        (2.0, True)
    """

    scale: Scale | None
    words: str
    history: ScaleHistory
    notice: str | None = None
    contradicted: bool = False

    @property
    def own_sigma(self) -> float | None:
        """Standard deviation of its own scale; None: it has that of other keyframes."""
        return None if self.scale is None or self.notice is not None else self.scale.sigma


def find_scale(
    estimator: ScaleEstimator,
    views: RefineViews,
    history: ScaleHistory,
    max_change: float,
    unit: str,
    roughly_metric: bool = False,
    seen: Scale | None = None,
) -> FoundScale:
    """Return a keyframe's scale, or the usual scale if the keyframe gives none.

    Args:
        estimator: finds the scale.
        views: the keyframe with its raw depth and labels.
        history: scales of the keyframes before.
        max_change, roughly_metric: see `ScaleHistory.with_found`.
        unit: of the raw depth, in words, for the case that no scale is known.
        seen: the scale with which the keyframe agrees with others, see `overlap_scale`; or None.

    Raises:
        ConfigError: the configured scale source is not available.
    """
    try:
        found = estimator.fit(views, history.last)
    except DepthError as error:
        if roughly_metric and max_change > 0.0:
            history = history.passed()
        # A factor says nothing of a network whose depth needs a shift, too.
        if seen is not None and not (history.last is not None and history.last.inverse):
            scale = history.expected(seen) if roughly_metric or history.mean is not None else seen
            words = f"{estimator.words} (of earlier keyframes)"
            return FoundScale(scale, words, replace(history, last=scale), str(error))
        usual = history.usual
        if usual is None:
            return FoundScale(None, unit, history, str(error))
        return FoundScale(usual, f"{estimator.words} (of earlier keyframes)", history, str(error))
    after = history.with_found(found, max_change, roughly_metric, seen)
    if not after.refused:
        return FoundScale(after.last, estimator.words, after)
    expected = after.last or Scale()
    notice = (
        f"its scale of {found.factor:.2f} contradicts the scale of the keyframes before, "
        f"{expected.factor:.2f}, which is used"
    )
    words = f"{estimator.words} (of earlier keyframes)"
    return FoundScale(expected, words, after, notice, contradicted=True)
