"""A keyframe of dense odometry."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from e2e_slam_ros.tracking.dense.view import DenseView
from e2e_slam_ros.tracking.rigid import Floats


@dataclass(eq=False)
class DenseKeyframe:
    """One keyframe: its pose, and its view by levels while frames may be aligned with it.

    Attributes:
        index: its number, from 0.
        stamp_ns: image time in nanoseconds.
        T_map_camera: (4, 4).
        pyramid: its view, the finest level first; empty while it has no depth, and once newer
            keyframes have taken its place.
        view: the finest level without depth, while depth may still come; or None.
        median_depth: metres; 0 while unknown.
        points: (M, 3) float32 a few points of its surface, camera frame, metres.

    Example:
        >>> import numpy as np
        >>> keyframe = DenseKeyframe(0, 1_000, np.eye(4))
        >>> keyframe.has_depth
        False
    """

    index: int
    stamp_ns: int
    T_map_camera: Floats
    pyramid: tuple[DenseView, ...] = ()
    view: DenseView | None = None
    median_depth: float = 0.0
    points: torch.Tensor | None = None

    @property
    def has_depth(self) -> bool:
        """Whether frames can be aligned with it."""
        return bool(self.pyramid)

    def take(self, view: DenseView, levels: int) -> None:
        """Use a view with depth as the reference of later frames."""
        self.pyramid = tuple(view.pyramid(levels))
        coarse = self.pyramid[-1]
        some = coarse.points.flatten(2)[0][:, coarse.has_depth.flatten()]
        self.median_depth = float(some[2].median()) if some.shape[1] else 0.0
        self.points = some.T[::4].float().cpu()
        self.view = None

    def release(self) -> None:
        """Free the images; the pose and a few points stay."""
        self.pyramid, self.view = (), None
