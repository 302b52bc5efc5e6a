"""Where the metre of the tracker's map comes from, and how certain it is."""

from __future__ import annotations

from collections import deque

import numpy as np

from e2e_slam_ros.tracking.floor_landmarks import FloorLandmarks
from e2e_slam_ros.tracking.height_scale import HeightScale, Stretch

_KEPT = 200
_FEWEST = 3
# Ratio of a normal distribution's standard deviation to its median absolute deviation.
_MAD = 1.4826
# Relative scale error of a depth sensor, by its data sheet.
_SENSOR = 0.01
# That of a depth network over a whole sequence, root mean square over fifteen of them. Its images
# agree on it, so it does not show in their spread.
_NETWORK = 0.08
# The metre is that of a depth network; or it comes from the camera's height over the floor.
NETWORK_METRE, HEIGHT_METRE = "network", "camera_height"
# Keyframes without a floor after which the user is told.
_FLOOR_MISSED = 20
# Keyframes with a floor that say how long the network's metre is.
_LEARNED = 20


class MapScale:
    """The source of the map's metre, with the deviations of its single measurements.

    Args:
        chosen: ``tracking.scale``.
        camera_height_m: ``tracking.camera_height_m``, for ``camera_height``.

    Attributes:
        source: "depth_topic", "poses" (given poses or odometry), "camera_height" once the floor
            was seen, "network", or "free".
        floor: the landmarks of the floor.
        height: the estimate from the camera's height; None where that is not chosen.
        network_factor: metres of the map per metre of the network at the last keyframe.
        warnings: sentences for the user, the oldest first.

    Example:
        >>> scale = MapScale("auto")
        >>> scale.source, scale.sigma
        ('free', inf)
        >>> for ratio in (0.9, 1.0, 1.1, 1.0):
        ...     scale.network_ratio(ratio)
        >>> scale.source, round(scale.sigma, 3)
        ('network', 0.087)
    """

    def __init__(self, chosen: str, camera_height_m: float = 0.0) -> None:
        self._chosen = chosen
        self.source = "free"
        self._deviations: deque[float] = deque(maxlen=_KEPT)
        self.height = HeightScale(camera_height_m) if chosen == HEIGHT_METRE else None
        self.floor = FloorLandmarks()
        self.network_factor = 1.0
        self._network_metres: deque[float] = deque(maxlen=_LEARNED)
        self.warnings: deque[str] = deque()

    @staticmethod
    def by_sensor() -> MapScale:
        """Return the scale of measured depth."""
        scale = MapScale("auto")
        scale.measured()
        return scale

    @property
    def sigma(self) -> float:
        """Standard deviation of the map's scale, relative; infinite where nothing measures it."""
        if self.source == "depth_topic":
            return _SENSOR
        if self.source == HEIGHT_METRE and self.height is not None:
            return self.height.sigma
        if self.source == "free" or len(self._deviations) < _FEWEST:
            return float("inf")
        values = np.array(self._deviations)
        spread = _MAD * float(np.median(np.abs(values - np.median(values))))
        sigma = max(spread, 1e-3) / float(np.sqrt(len(values)))
        return float(np.hypot(sigma, _NETWORK)) if self.source == NETWORK_METRE else sigma

    @property
    def follows_network(self) -> bool:
        """Whether the scale of a network's depth images pulls at the map."""
        return self.source in (NETWORK_METRE, HEIGHT_METRE)

    @property
    def network_metre(self) -> float:
        """True metres per metre of the network, as keyframes with a floor have shown; else 1."""
        return float(np.median(self._network_metres)) if self._network_metres else 1.0

    def measured(self) -> None:
        """Note that depth is measured."""
        self.source = "depth_topic"

    def network_ratio(self, ratio: float | None) -> None:
        """Note the map's depth over a network's in one keyframe; None: too few landmarks."""
        if self._chosen != "free" and self.source == "free":
            self.source = NETWORK_METRE
        if self.source == NETWORK_METRE and ratio is not None:
            self._deviations.append(float(np.log(ratio)))

    def floor_seen(
        self, height_in_map: float | None, by_motion: bool = False, keyframe: int = 0
    ) -> bool:
        """Note the camera's height in the map's metres at a keyframe; None: no floor is seen.

        Args:
            height_in_map: over the floor.
            by_motion, keyframe: see `HeightScale.see`.

        Returns:
            Whether the metre of this keyframe is known by it.
        """
        if self.height is None or self.source in ("depth_topic", "poses"):
            return False
        seen = self.height.see(height_in_map, by_motion, keyframe)
        if seen and height_in_map is not None:
            self.source = HEIGHT_METRE
            true = self.network_factor * self.height.height_m / height_in_map
            self._network_metres.append(true)
        elif not self.height.sightings and self.height.unseen == _FLOOR_MISSED:
            self.warnings.append(
                f"tracking.scale is camera_height, but none of {_FLOOR_MISSED} keyframes shows "
                "the floor: the metre is the depth network's until one does; tilt the camera down"
            )
        return seen

    def take_stretch(self) -> Stretch | None:
        """Return the change of scale that the map needs now, or None; see `HeightScale`."""
        if self.height is None or self.source != HEIGHT_METRE:
            return None
        return self.height.take_stretch()

    def given_motion(self, metres_given: float, metres_map: float, sigma_m: float) -> None:
        """Note the lengths of a motion as given and in the map, and the given one's sigma."""
        if self._chosen == "free" or self.source == "depth_topic":
            return
        if self.source != "poses":
            self.source = "poses"
            self._deviations.clear()
        if min(metres_given, metres_map) > 2.0 * sigma_m:
            self._deviations.append(float(np.log(metres_given / metres_map)))
