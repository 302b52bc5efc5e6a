"""Frames of a walk as the system is shown them, with the errors that they get."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.simulation.dice import Dice


@dataclass(frozen=True, eq=False)
class WalkFrames:
    """Frames, read once, in the order of their stamps.

    Attributes:
        frames: with true depth; poses and cameras have errors.
        disturbance: of the network's depth, see `DisturbedDepth`.
        dice: draws the errors, those of the poses too.

    >>> WalkFrames((), 0.1, Dice(0)).disturbance
    0.1
    """

    frames: Iterable[Frame]
    disturbance: float
    dice: Dice


def moved(frame: Frame, sigma_m: float, sigma_deg: float, dice: Dice) -> Frame:
    """Return a frame whose pose has a random error; without a pose it stays as it is.

    Args:
        sigma_m: standard deviation of the position along each axis, metres.
        sigma_deg: of the angle about each axis, degrees.

    >>> import numpy as np
    >>> from e2e_slam_ros.geometry.camera import PinholeCamera
    >>> camera = PinholeCamera(4, 3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
    >>> image = np.zeros((3, 4, 3), np.uint8)
    >>> frame = Frame(0, 0, image, camera, T_map_camera=np.eye(4))
    >>> float(np.abs(moved(frame, 0.01, 0.0, Dice(0)).T_map_camera[:3, 3]).max()) > 0
    True
    """
    if frame.T_map_camera is None:
        return frame
    sigma = torch.tensor([sigma_m] * 3 + [math.radians(sigma_deg)] * 3, dtype=torch.float64)
    error = se3.exp(sigma * dice.randn(6).double()).numpy()
    return replace(frame, T_map_camera=frame.T_map_camera @ error)
