"""The height of the camera over landmarks of the floor, which motion has measured."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking.floor_height import FloorView
from e2e_slam_ros.tracking.landmarks import Ids
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.local_map import LocalMap
from e2e_slam_ros.tracking.rigid import Floats
from e2e_slam_ros.tracking.tracking_keyframe import TrackingKeyframe

# A landmark is of the floor where so many keyframes say so, and twice as many as say otherwise.
_VOTES = 2
# Keyframes that have seen a landmark whose place comes from motion; keyframes looked back.
_OBSERVERS, _BACK = 4, 12
# A plane needs so many landmarks, and this extent (standard deviation) over the camera's height.
_FEWEST, _EXTENT = 20, 0.25
# Width of the robust weights over the height, from step to step.
_WIDTHS = (0.3, 0.15, 0.08, 0.05, 0.05)
_ABOUT_UP_DEG = 25.0


class FloorLandmarks:
    """Which landmarks lie on the floor, by the depth images that showed them.

    A network's floor may be bent and some ten per cent too near or too far. It says which
    landmarks are of the floor; where these are, motion says.

    Example:
        Two keyframes show floor in their lower half, and two landmarks there:

        >>> from e2e_slam_ros.geometry.camera import PinholeCamera
        >>> from e2e_slam_ros.tracking.tracking_keyframe import Observations
        >>> camera = PinholeCamera(width=64, height=48, fx=50.0, fy=50.0, cx=31.5, cy=23.5)
        >>> view = FloorView(1.2, np.eye(3)[2], camera, np.indices((48, 64))[0] > 24, step=1)
        >>> pixels = np.array([[10.0, 40.0], [50.0, 30.0], [20.0, 5.0]])
        >>> seen = Observations.without_depth(np.array([3, 4, 5]), pixels, pixels)
        >>> image = np.zeros((48, 64), np.uint8)
        >>> keyframe = TrackingKeyframe(0, 0, 0, image, np.eye(4), np.zeros(3), seen)
        >>> floor = FloorLandmarks()
        >>> for _ in range(2):
        ...     floor.vote(keyframe, Lens(camera), view)
        >>> floor.are_floor(seen.ids).tolist()
        [True, True, False]
    """

    def __init__(self) -> None:
        self._floor = np.zeros(0, np.int64)
        self._other = np.zeros(0, np.int64)

    def vote(self, keyframe: TrackingKeyframe, lens: Lens, floor: FloorView) -> None:
        """Note which landmarks of a keyframe its depth image shows on the floor."""
        ids = keyframe.seen.ids
        if not len(ids):
            return
        missing = int(ids.max()) + 1 - len(self._floor)
        if missing > 0:
            self._floor = np.concatenate([self._floor, np.zeros(missing, np.int64)])
            self._other = np.concatenate([self._other, np.zeros(missing, np.int64)])
        shown = floor.shows(lens, keyframe.seen.ideal)
        np.add.at(self._floor, ids[shown], 1)
        np.add.at(self._other, ids[~shown], 1)

    def are_floor(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Return which landmarks ``ids`` (N,) lie on the floor, as far as votes say so."""
        result, known = np.zeros(len(ids), np.bool_), ids < len(self._floor)
        floor, other = self._floor[ids[known]], self._other[ids[known]]
        result[known] = (floor >= _VOTES) & (floor > 2 * other)
        return result

    def height(self, local_map: LocalMap, keyframe: TrackingKeyframe, up: Floats) -> float | None:
        """Return the height of a keyframe over the plane of the floor's landmarks around it.

        Args:
            local_map: with the landmarks.
            keyframe: the newest.
            up: (3,) unit, about against gravity, map frame.

        Returns:
            Metres of the map; None with too few landmarks, or with all of them in a row.
        """
        near = local_map.keyframes[max(0, keyframe.index - _BACK) : keyframe.index + 1]
        ids = np.unique(np.concatenate([one.seen.ids for one in near]))
        ids = ids[local_map.landmarks.known(ids) & self.are_floor(ids)]
        ids = ids[local_map.landmarks.observer_counts(ids) >= _OBSERVERS]
        if len(ids) < _FEWEST:
            return None
        points = local_map.landmarks.position[ids] - keyframe.T_map_camera[:3, 3]
        return _height_over(points, up)


def _height_over(points: Floats, up: Floats) -> float | None:
    """Return the distance of the origin from the plane that most points (N, 3) agree on."""
    normal = up
    height = -float(np.median(points @ normal))
    weight: npt.NDArray[np.float64] = np.ones(len(points))
    for width in _WIDTHS:
        if height <= 0.0:
            return None
        off = (points @ normal + height) / (width * height)
        weight = 1.0 / (1.0 + off * off) ** 2
        middle = (weight[:, None] * points).sum(0) / weight.sum()
        centred = points - middle
        covariance = (weight[:, None] * centred).T @ centred / weight.sum()
        variance, axes = np.linalg.eigh(covariance)
        if math.sqrt(max(float(variance[1]), 0.0)) < _EXTENT * height:
            return None  # in a row: the tilt about it is not known
        normal = axes[:, 0] * np.sign(axes[:, 0] @ up)
        height = -float(normal @ middle)
    steep = float(normal @ up) < math.cos(math.radians(_ABOUT_UP_DEG))
    few = float(weight.sum()) < 0.5 * len(points)
    return None if steep or few or height <= 0.0 else height
