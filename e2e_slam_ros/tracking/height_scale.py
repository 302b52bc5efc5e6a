"""The map's metre from the camera's height over the floor, from keyframe to keyframe."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from e2e_slam_ros.tracking.rigid import Floats

# Sightings that count, the newest; as many settle the metre, and fewer than three say nothing.
_KEPT, _SETTLED, _FEWEST = 20, 10, 3
# Once there are three, a sighting this far off (logarithm) is of something else than the floor.
_OUTLIER = 0.2
# As many sightings in a row of a lower plane, at one height, say that the first was a table.
_LOWER_IN_A_ROW = 5
# Growth of the logarithm's standard deviation with each keyframe that sees no floor: a random
# walk. In a rendered corridor the scale drifted by 25 % while a camera turned round a corner, in
# 20 keyframes without a floor.
_DRIFT = 0.02
# The map is stretched as a whole where its metre is off by more than this, and by two sigma.
_WORTH = 0.01
# Ratio of a normal distribution's standard deviation to its median absolute deviation.
_MAD = 1.4826
_LEAST_SIGMA = 0.005
# Keyframes without a floor in which the scale may have drifted; sightings that say what is off.
_GAP, _NEWEST = 5, 5


@dataclass(frozen=True)
class Stretch:
    """A change of the map's scale.

    Attributes:
        factor: how many times as large the newest part becomes.
        first, last: keyframes between which the scale has drifted: it changes evenly from one to
            the other. None: the whole map changes alike.

    Example:
        >>> Stretch(1.1, 20, 36).first
        20
    """

    factor: float
    first: int | None = None
    last: int | None = None


class HeightScale:
    """True metres per metre of the map, by the floor seen in keyframes.

    The estimate is the median of the newest 20 sightings; its deviation is their robust spread
    over the root of their number, and grows while no floor is seen. A plane higher than the floor
    is a table top and is left out. Five in a row at one lower height replace the floor.

    Args:
        height_m: the camera's true height over the floor.

    Attributes:
        height_m: the true height.
        sightings: number of keyframes in which the floor was seen.
        unseen: keyframes since the last of these.

    Example:
        The map's metre is 1.2 of a true one, so the floor seems to be farther away:

        >>> scale = HeightScale(1.5)
        >>> [scale.see(height) for height in (1.81, 1.79, 1.80)]
        [True, True, True]
        >>> round(scale.factor, 3), scale.see(1.0), scale.see(None)
        (0.833, False, False)
        >>> scale.sightings, scale.unseen
        (3, 2)
    """

    def __init__(self, height_m: float) -> None:
        self.height_m = height_m
        self._logs: deque[float] = deque(maxlen=_KEPT)
        self._lower: list[float] = []
        self.sightings = self.unseen = 0
        self._settling = _SETTLED
        self._by_motion = False
        # Keyframes before and after which the floor was out of sight; sightings since.
        self._gap: tuple[int, int] | None = None
        self._after = self._last_seen = 0

    def see(self, height_in_map: float | None, by_motion: bool = False, keyframe: int = 0) -> bool:
        """Note the height over a plane in one keyframe, in metres of the map; None: no floor.

        Args:
            height_in_map: over the plane.
            by_motion: landmarks measured by motion say so, and not one depth image. From the
                first of these on, only such count.
            keyframe: its index.

        Returns:
            Whether it is the floor.
        """
        self.unseen += 1
        if height_in_map is None or self._by_motion > by_motion:
            return False
        if by_motion and not self._by_motion:
            self._by_motion, self._settling = True, self.sightings + _SETTLED
            self._logs.clear()
        log = float(np.log(self.height_m / height_in_map))
        if len(self._logs) >= _FEWEST and not self._agrees(log):
            return False
        self._lower.clear()
        self._logs.append(log)
        if self.unseen > _GAP and self.sightings:
            self._gap, self._after = (self._last_seen, keyframe), 0
        self._after += 1
        self._last_seen = keyframe
        self.sightings, self.unseen = self.sightings + 1, 0
        return True

    @property
    def factor(self) -> float:
        """True metres per metre of the map; 1 before a floor was seen."""
        return float(np.exp(np.median(self._logs))) if self._logs else 1.0

    @property
    def sigma(self) -> float:
        """Relative standard deviation of the map's metre; infinite with fewer than 3 sightings.

        What the newest five say that the map is off, and no adjustment has taken up yet, counts.
        """
        if len(self._logs) < _FEWEST:
            return float("inf")
        values = np.array(self._logs)
        certain = _deviation(values) / np.sqrt(len(values))
        off = float(np.median(values[-_NEWEST:]))
        return float(np.linalg.norm([certain, _DRIFT * np.sqrt(self.unseen), off]))

    def take_stretch(self) -> Stretch | None:
        """Return the change of scale that the map needs now, or None.

        A map whose metre has not settled is stretched as a whole. After a gap in which no floor
        was seen, the part that has drifted meanwhile is. Less than that is left to the depth of
        keyframes that see the floor, which pulls at the map.
        """
        if self.sightings <= self._settling:
            newest, gap = len(self._logs), None
        else:
            newest, gap = self._after, self._gap
            if gap is None:
                return None
        if newest < _FEWEST or len(self._logs) < _FEWEST:
            return None
        values = np.array(self._logs)[-newest:]
        self._gap = None
        log = float(np.median(values))
        if abs(log) <= max(_WORTH, 2.0 * _deviation(values) / np.sqrt(len(values))):
            return None
        shifted = [one - log for one in list(self._logs)[-newest:]]
        self._logs = deque([*list(self._logs)[:-newest], *shifted], maxlen=_KEPT)
        return Stretch(float(np.exp(log)), *(gap or (None, None)))

    def _agrees(self, log: float) -> bool:
        """Return whether a sighting is of the floor; change the floor for a lower one."""
        off = log - float(np.median(self._logs))
        if abs(off) <= _OUTLIER + 2.0 * _DRIFT * np.sqrt(self.unseen):
            return True
        if off > 0.0:
            return False  # nearer than the floor: a table top
        self._lower.append(log)
        newest = self._lower[-_LOWER_IN_A_ROW:]
        if len(newest) < _LOWER_IN_A_ROW or max(newest) - min(newest) > _OUTLIER:
            return False
        self._logs = deque(newest[:-1], maxlen=_KEPT)
        self._settling = self.sightings + _SETTLED
        return True


def _deviation(values: Floats) -> float:
    """Return the robust standard deviation of (N,) logarithms."""
    spread = _MAD * float(np.median(np.abs(values - np.median(values))))
    return max(spread, _LEAST_SIGMA)
