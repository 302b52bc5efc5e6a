"""Readout time of a rolling shutter, from its first row to its last, learned from the images.

A turning camera takes the rows of an image at different attitudes. Under the assumption of one
attitude, the image looks bent. The bend is proportional to the readout time, so bundle adjustment
finds the readout time as one more unknown (compare Oth et al., "Rolling Shutter Camera
Calibration", CVPR 2013, which fits a whole trajectory offline).
"""

from __future__ import annotations

import numpy as np

LONGEST_S = 0.05
# A window in which the camera turns too little to tell.
_MOST_SIGMA_S = 0.003
# Uncertainty at the start, of one window, and gained from one to the next, seconds. A window is
# held by older keyframes that were made with the old estimate, so it says less than it seems.
_PRIOR_S, _WINDOW_S, _WALK_S = 0.02, 0.004, 0.0008
_LEAST_CHANGE_S = 1e-4


class ShutterEstimate:
    """The running estimate of one camera's readout time.

    Attributes:
        readout_s: the estimate in use, seconds.

    Example:
        >>> shutter = ShutterEstimate()
        >>> shutter.learn(change_s=0.02, sigma_s=0.001)
        True
        >>> round(shutter.readout_s, 3)
        0.019
    """

    def __init__(self) -> None:
        self.readout_s = 0.0
        self._variance = _PRIOR_S**2

    def learn(self, change_s: float, sigma_s: float) -> bool:
        """Include the change that one adjustment found; return whether the estimate moved.

        Args:
            change_s: true readout time minus ``readout_s``, seconds, by the adjustment.
            sigma_s: its standard deviation.
        """
        if not sigma_s < _MOST_SIGMA_S:
            return False
        self._variance += _WALK_S**2
        gain = self._variance / (self._variance + _WINDOW_S**2 + sigma_s**2)
        self._variance *= 1.0 - gain
        before = self.readout_s
        self.readout_s = float(np.clip(before + gain * change_s, 0.0, LONGEST_S))
        return abs(self.readout_s - before) > _LEAST_CHANGE_S
