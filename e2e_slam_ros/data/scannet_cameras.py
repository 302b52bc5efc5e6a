"""The two cameras of a ScanNet recording."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.pose_files import Matrix
from e2e_slam_ros.geometry.lens_model import LensModel
from e2e_slam_ros.geometry.registration import DepthRegistration


@dataclass(frozen=True, eq=False)
class ScannetCameras:
    """Colour and depth camera of a ScanNet recording, of different size and focal length.

    Attributes:
        colour, depth: intrinsics.
        T_colour_depth: (4, 4) points of the depth camera to the colour camera, metres.

    >>> lens = LensModel(4, 3, 4.0, 4.0, 1.5, 1.0)
    >>> cameras = ScannetCameras(lens, lens, np.eye(4))
    >>> float(cameras.registered(np.full((3, 4), 2.0, np.float32))[1, 1])
    2.0
    """

    colour: LensModel
    depth: LensModel
    T_colour_depth: Matrix

    @cached_property
    def _registration(self) -> DepthRegistration | None:
        if self.colour == self.depth and np.allclose(self.T_colour_depth, np.eye(4)):
            return None
        target = LensModel.of_pinhole(self.colour.pinhole)
        return DepthRegistration(self.depth, target, self.T_colour_depth)

    def registered(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return depth (h, w) of the depth camera as (H, W) metres of the colour camera.

        Raises:
            DepthError: the image has another size than the depth camera.
        """
        registration = self._registration
        return depth if registration is None else registration(depth)


def lens_of_matrix(matrix: npt.NDArray[np.float64], size: tuple[int, int]) -> LensModel:
    """Return the lens of an intrinsic matrix (3, 3) or (4, 4) for images of ``size``.

    Raises:
        CameraError: the numbers describe no camera.

    >>> lens_of_matrix(np.diag([9.0, 9.0, 1.0]) + np.eye(3, k=2) * 4, (9, 8)).cx
    4.0
    """
    fx, fy, cx, cy = (float(matrix[r, c]) for r, c in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return LensModel(*size, fx, fy, cx, cy)
