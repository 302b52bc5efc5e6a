"""Images of a rolling shutter as a camera would take them that exposes all rows at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.sampling import sample_bilinear


def unrolled(
    image: torch.Tensor, camera: PinholeCamera, turning: npt.NDArray[np.float64], readout_s: float
) -> torch.Tensor:
    """Return an image as the camera saw it when its middle row was taken.

    The camera turns while rows are read. Each pixel is taken from where its ray was seen at the
    time of its row (Forssén and Ringaby, CVPR 2010, for small angles). A camera that moves without
    turning changes nothing here: that would need depth.

    Args:
        image: (B, C, H, W) float32.
        camera: its intrinsics, without distortion.
        turning: (3,) angular velocity of the camera in its own frame, rad/s.
        readout_s: time from the first row to the last, seconds; negative undoes a correction.

    Returns:
        An image of the same size. Pixels from outside repeat the edge.

    Example:
        >>> camera = PinholeCamera(width=8, height=6, fx=8.0, fy=8.0, cx=3.5, cy=2.5)
        >>> image = torch.rand(1, 3, 6, 8)
        >>> bool(torch.equal(unrolled(image, camera, np.zeros(3), 0.02), image))
        True
    """
    if not np.any(turning):
        return image
    height, width = image.shape[-2:]
    # One row and one column: together they are the rays of all pixels.
    u = torch.arange(width, device=image.device, dtype=image.dtype)
    v = torch.arange(height, device=image.device, dtype=image.dtype)[:, None]
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    wx, wy, wz = (float(w) for w in turning)
    # Ray minus seconds times the cross product of angular velocity and ray.
    turn_z, turn_x, turn_y = wx * y - wy * x, wy - wz * y, wz * x - wx

    def taken(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seconds = readout_s * ((row + 0.5) / height - 0.5)
        return seconds, 1.0 - seconds * turn_z

    # The row that a pixel was taken on decides when, and so where: two steps are enough.
    seconds, z = taken(v)
    seconds, z = taken((y - seconds * turn_y) / z * camera.fy + camera.cy)
    column = (x - seconds * turn_x) / z * camera.fx + camera.cx
    row = (y - seconds * turn_y) / z * camera.fy + camera.cy
    uv = torch.stack([column.clamp_(0, width - 1), row.clamp_(0, height - 1)])[None]
    return sample_bilinear(image, uv.expand(len(image), -1, -1, -1))
