"""Errors of the motion between two views whose length is not known."""

from __future__ import annotations

import torch

from e2e_slam_ros.geometry import se3


def motion_errors(found: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """Return the rotation's error and the angle between the translations, degrees.

    Args:
        found, truth: (4, 4) each, points of one camera to the other.

    >>> T = torch.eye(4)
    >>> T[:3, 3] = torch.tensor([0.1, 0.0, 0.0])
    >>> longer = T.clone()
    >>> longer[:3, 3] *= 3.0
    >>> motion_errors(longer, T)
    (0.0, 0.0)
    """
    found, truth = found.double(), truth.double()
    rotation = se3.log(se3.inverse(truth) @ found)[3:].norm()
    a, b = found[:3, 3], truth[:3, 3]
    cosine = (a @ b) / (a.norm() * b.norm()).clamp_min(1e-9)
    angle = torch.arccos(cosine.clamp(-1.0, 1.0))
    return float(torch.rad2deg(rotation)), float(torch.rad2deg(angle))
