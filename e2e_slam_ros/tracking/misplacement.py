"""How far errors of poses move the points that neighbouring cameras see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.rigid import Floats

# Where points lie in the image, as x/z and y/z: a field of view of 60 x 45 degrees.
_ACROSS, _DOWN = (-0.6, -0.2, 0.2, 0.6), (-0.4, 0.0, 0.4)


def misplaced_angle(
    T_camera_map: Floats,
    free: npt.NDArray[np.bool_],
    covariance: Floats,
    camera: int,
    others: Sequence[int],
    depth_m: float,
) -> float:
    """Return the angle by which errors of two cameras' poses misplace a point between them.

    Two cameras compare what they see of a point at some depth. Only the error of their relative
    pose counts: errors that both share, such as the drift of a whole window, misplace nothing.
    An error of rotation and an error of position that look alike in the image also cancel. Both
    are in the joint covariance, and not in the standard deviations of a single pose.

    Args:
        T_camera_map: (C, 4, 4), of all cameras.
        free: (C,), the cameras that the covariance is of. The others have no errors.
        covariance: (6 F, 6 F), of the free cameras' twists ``[rho, phi]``, ``exp(twist) T``.
        camera: the camera in question, a free one.
        others: the cameras it is compared with, at least one.
        depth_m: depth of the points, metres.

    Returns:
        Standard deviation in radians, per axis of the image; root mean square over the image and
        the other cameras.

    Example:
        Two cameras are uncertain by 1 cm, but together: a point is where both see it.

        >>> poses, free = np.stack([np.eye(4)] * 2), np.array([True, True])
        >>> together = np.kron(np.ones((2, 2)), np.diag([1e-4, 0, 0, 0, 0, 0]))
        >>> misplaced_angle(poses, free, together, camera=0, others=[1], depth_m=2.0)
        0.0
    """
    slot = np.cumsum(free) - 1
    blocks = covariance.reshape(int(free.sum()), 6, -1, 6)
    which = np.asarray(others)
    own, moving = slot[camera], free[which]
    turn = rigid.adjoint(T_camera_map[camera] @ rigid.inverse(T_camera_map[which]))
    theirs = turn @ (blocks[slot[which], :, slot[which]] * moving[:, None, None])
    theirs = theirs @ turn.swapaxes(1, 2)
    shared = turn @ (blocks[slot[which], :, own] * moving[:, None, None])
    relative = blocks[own, :, own] + theirs - shared - shared.swapaxes(1, 2)
    change = _change(depth_m)
    variance = np.einsum("rd,nde,re->", change, relative, change) / (len(which) * len(change))
    return float(np.sqrt(max(variance, 0.0)))


def _change(depth_m: float) -> Floats:
    """Return (P, 6), the change of x/z and y/z of points at one depth with a twist."""
    x, y = (side.ravel() for side in np.meshgrid(_ACROSS, _DOWN))
    rays = np.stack([x, y, np.ones_like(x)], 1)
    flat = np.zeros((len(rays), 2, 3))
    flat[:, 0, 0] = flat[:, 1, 1] = 1.0
    flat[:, :, 2] = -rays[:, :2]
    moved = np.concatenate([flat / depth_m, -flat @ rigid.hat(rays)], 2)
    return np.asarray(moved.reshape(-1, 6))
