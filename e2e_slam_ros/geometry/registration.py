"""Depth of one camera as another camera beside it sees it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.geometry.lens_model import LensModel

_NEAREST_M = 0.01
# A depth pixel covers at most this many colour pixels along each axis. Depth cameras have up to
# five times fewer pixels across than colour cameras.
_WIDEST = 8


class DepthRegistration:
    """Reprojects depth images into another camera.

    Each depth pixel is a small square that faces its camera. All target pixels whose centres the
    square covers get its depth; where squares overlap the nearest one counts.

    Args:
        source: the depth camera, with its lens.
        target: the colour camera; the result has its size and its distortion.
        T_target_source: (4, 4) points of the depth camera to the colour camera, metres.

    >>> camera = LensModel(4, 3, 4.0, 4.0, 1.5, 1.0)
    >>> shift = np.eye(4)
    >>> shift[0, 3] = 0.5
    >>> DepthRegistration(camera, camera, shift)(np.full((3, 4), 2.0, np.float32))[0].tolist()
    [0.0, 2.0, 2.0, 2.0]
    """

    def __init__(
        self, source: LensModel, target: LensModel, T_target_source: npt.NDArray[np.float64]
    ) -> None:
        self._source, self._target = source, target
        self._rotation = np.asarray(T_target_source, dtype=np.float64)[:3, :3]
        self._shift = np.asarray(T_target_source, dtype=np.float64)[:3, 3]
        v, u = np.indices((source.height, source.width), dtype=np.float64)
        pixels = np.stack([u, v], axis=-1).reshape(-1, 2)
        self._centres = source.rays(pixels)
        self._corners = [source.rays(pixels + offset) for offset in (-0.5, 0.5)]

    def __call__(self, depth: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (H, W) float32 metres of the target camera, 0 where nothing is seen.

        Args:
            depth: (h, w) metres of the source camera, 0 or not finite = invalid.

        Raises:
            DepthError: the image has another size than the source camera.
        """
        source, target = self._source, self._target
        if depth.shape != (source.height, source.width):
            raise DepthError.from_parts(
                "depth image to register",
                f"{depth.shape[1]}x{depth.shape[0]} pixels",
                f"{source.width}x{source.height}, the size in its camera_info",
                "give the camera_info of these depth images",
            )
        flat = depth.reshape(-1).astype(np.float64)
        known = np.flatnonzero(np.isfinite(flat) & (flat > 0))
        z = (self._moved(self._centres, flat, known))[:, 2]
        ahead = z > _NEAREST_M
        known, z = known[ahead], z[ahead].astype(np.float32)
        first, second = (
            target.project(self._moved(rays, flat, known)) if len(known) else np.zeros((0, 2))
            for rays in self._corners
        )
        low = np.ceil(np.minimum(first, second))
        count = np.clip(np.floor(np.maximum(first, second)) - low + 1, 0, _WIDEST)
        near = np.isfinite(low).all(axis=1) & (np.abs(low) < 1e6).all(axis=1)
        low, count, z = low[near].astype(np.int64), count[near].astype(np.int64), z[near]
        result = np.full(target.width * target.height, np.inf, dtype=np.float32)
        reach = count.max(axis=0) if len(count) else (0, 0)
        for dx in range(int(reach[0])):
            for dy in range(int(reach[1])):
                x, y = low[:, 0] + dx, low[:, 1] + dy
                seen = (dx < count[:, 0]) & (dy < count[:, 1])
                seen &= (x >= 0) & (x < target.width) & (y >= 0) & (y < target.height)
                np.minimum.at(result, y[seen] * target.width + x[seen], z[seen])
        result[~np.isfinite(result)] = 0.0
        return result.reshape(target.height, target.width)

    def _moved(
        self,
        rays: npt.NDArray[np.float64],
        depth: npt.NDArray[np.float64],
        known: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.float64]:
        """Return the points (N, 3) of some pixels in the target camera's frame."""
        return rays[known] * depth[known, None] @ self._rotation.T + self._shift
