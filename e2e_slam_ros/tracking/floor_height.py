"""The floor in a depth image, and the height of the camera over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.normals import normals_from_points
from e2e_slam_ros.mapping.floor import find_floor
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.lens import Lens
from e2e_slam_ros.tracking.rigid import Floats

# Pixels used at most: a floor is large.
_MOST_PIXELS = 20_000
# The floor's normal is this near to the direction taken for up; its pixels' to the floor's.
_ABOUT_UP_DEG, _LEVEL_DEG = 40.0, 20.0
# Pixels of the floor are within this share of the height of its plane, from fit to fit.
_THICK = (0.06, 0.04, 0.04)
# Share of all pixels that a floor covers at least.
_FEWEST = 0.03
# Points lower than the plane by a tenth of the height: more than this share of it, and it is a
# table top.
_LOWER_M, _LOWER = 0.1, 0.1


@dataclass(frozen=True, eq=False)
class FloorView:
    """The floor as one depth image shows it.

    Attributes:
        height: of the camera over it, in the metre of the depth image.
        normal: (3,) unit, upwards, camera frame.
        camera: of the depth image.
        mask: (H, W) bool, the floor's pixels, every ``step``-th row and column of the image.
        step: see ``mask``.

    Example:
        >>> camera = PinholeCamera(width=80, height=60, fx=60.0, fy=60.0, cx=39.5, cy=29.5)
        >>> lower = np.indices((30, 40))[0] > 20
        >>> floor = FloorView(1.2, np.array([0.0, -1.0, 0.0]), camera, lower, step=2)
        >>> floor.shows(Lens(camera), np.array([[10.0, 50.0], [10.0, 20.0]])).tolist()
        [True, False]
    """

    height: float
    normal: Floats
    camera: PinholeCamera
    mask: npt.NDArray[np.bool_]
    step: int

    def shows(self, lens: Lens, pixels: Floats) -> npt.NDArray[np.bool_]:
        """Return which ideal pixels (N, 2) of an image taken with it, by a lens, are floor."""
        own = Lens(self.camera)
        at = own.recorded((pixels - lens.centre) / lens.focal * own.focal + own.centre)
        finite = np.asarray(np.isfinite(at).all(1))
        columns, rows = np.round(np.where(finite[:, None], at, -1.0) / self.step).astype(int).T
        height, width = self.mask.shape
        inside = finite & (rows >= 0) & (columns >= 0) & (rows < height) & (columns < width)
        shown = self.mask[np.where(inside, rows, 0), np.where(inside, columns, 0)]
        return np.asarray(inside & shown)


def find_floor_view(depth: DepthImage, up: Floats) -> FloorView | None:
    """Return the floor in a camera's depth image.

    The floor is the lowest large level surface (`mapping.floor.find_floor`) below the camera, and
    hardly anything is seen below it. A plane is fitted to it, so that ``up`` need only be right
    to within 40 degrees.

    Args:
        depth: of one image, in a metre of its own.
        up: (3,) unit, about against gravity, camera frame.

    Returns:
        The floor; None: none is seen.

    Example:
        A camera that looks level, 1.2 m over a plane without an end:

        >>> camera = PinholeCamera(width=80, height=60, fx=60.0, fy=60.0, cx=39.5, cy=29.5)
        >>> rows = np.arange(60.0)[:, None] - 29.5
        >>> values = np.where(rows > 6.0, 1.2 * 60.0 / np.maximum(rows, 1.0), 0.0)
        >>> values = np.broadcast_to(values, (60, 80)).astype(np.float32)
        >>> image = DepthImage(values, camera, relative_sigma=0.6)
        >>> round(find_floor_view(image, np.array([0.0, -1.0, 0.0])).height, 3)
        1.2
    """
    step = max(1, math.ceil(math.sqrt(depth.values.size / _MOST_PIXELS)))
    points, normals, known = _surface(depth, step)
    if not len(points):
        return None
    below = points @ up < 0.0
    level = below & (normals @ up > math.cos(math.radians(_ABOUT_UP_DEG)))
    if level.sum() < _FEWEST * len(points):
        return None
    turn = _to_level(up)
    floor = find_floor(
        torch.from_numpy(points[below] @ turn.T), torch.from_numpy(normals[below] @ turn.T)
    )
    normal, height = floor.up.numpy() @ turn, -floor.level
    if height <= 0.0:
        return None
    flat = normals @ normal > math.cos(math.radians(_LEVEL_DEG))
    for thick in _THICK:
        near = flat & (np.abs(points @ normal + height) < thick * height)
        if near.sum() < _FEWEST * len(points):
            return None
        middle = points[near].mean(0)
        normal = np.linalg.svd(points[near] - middle, full_matrices=False)[2][2]
        normal = normal * np.sign(normal @ up)
        height = -float(normal @ middle)
        if height <= 0.0 or normal @ up < math.cos(math.radians(_ABOUT_UP_DEG)):
            return None
    lower = int((points @ normal < -(1.0 + _LOWER_M) * height).sum())
    if lower > _LOWER * int(near.sum()):
        return None
    mask = known.copy()
    mask[known] = near
    return FloorView(height, normal, depth.camera, mask, step)


def _surface(depth: DepthImage, step: int) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return points (N, 3) in the camera's frame, their normals (N, 3), and where they are."""
    z = depth.values[::step, ::step].astype(np.float64)
    rows, columns = np.indices(z.shape) * step
    lens = Lens(depth.camera)
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2).astype(np.float64)
    rays = lens.rays(lens.ideal(pixels))
    valid = np.isfinite(z) & (z > 0.0) & np.isfinite(rays).all(1).reshape(z.shape)
    organised = (rays * z.reshape(-1, 1)).reshape(*z.shape, 3).transpose(2, 0, 1)
    points = torch.from_numpy(np.where(valid, organised, 0.0))[None]
    normals, known = normals_from_points(points, torch.from_numpy(valid)[None, None])
    kept = known[0, 0]
    return points[0][:, kept].T.numpy(), normals[0][:, kept].T.numpy(), kept.numpy()


def _to_level(up: Floats) -> npt.NDArray[np.float64]:
    """Return a rotation (3, 3) whose third row is ``up``."""
    other = np.eye(3)[int(np.argmin(np.abs(up)))]
    first = np.cross(other, up)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(up, first), up])
