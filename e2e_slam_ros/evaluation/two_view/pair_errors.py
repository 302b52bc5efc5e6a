"""Errors of depth and motion that two images gave, in the figures of DRO's table 2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from e2e_slam_ros.evaluation.depth.metrics import DepthMetrics, depth_metrics
from e2e_slam_ros.evaluation.depth.scores import in_range, is_predicted
from e2e_slam_ros.evaluation.trajectory.motion_errors import motion_errors


@dataclass(frozen=True)
class PairErrors:
    """Errors of one pair of images.

    Two images do not show their scale. So depth is multiplied by ``scale`` first, and the found
    translation by the factor that brings it nearest to the true one.

    Attributes:
        depth: errors of the scaled depth.
        sc_inv: scale-invariant error of log depth.
        scale: median of true over found depth.
        rotation_deg: angle of the rotation between the found and the true one.
        direction_deg: angle between the translations; 90 where none was found.
        translation_cm: distance between the translations, the found one scaled.
        covered: share of the true depths that have a found one.

    >>> truth, T = torch.full((4, 4), 2.0), torch.eye(4).double()
    >>> T[0, 3] = 0.1
    >>> errors = pair_errors(truth / 4.0, T, truth, T, 0.1, 8.0)
    >>> errors.scale, errors.depth.abs_rel, errors.rotation_deg, errors.translation_cm
    (4.0, 0.0, 0.0, 0.0)
    """

    depth: DepthMetrics
    sc_inv: float
    scale: float
    rotation_deg: float
    direction_deg: float
    translation_cm: float
    covered: float


def pair_errors(
    depth: torch.Tensor,
    T_other_reference: torch.Tensor,
    truth: torch.Tensor,
    T_true: torch.Tensor,
    min_m: float,
    max_m: float,
) -> PairErrors | None:
    """Compare what a pair of images gave with the truth; None where no pixel has both depths.

    Args:
        depth, truth: of the reference image, equal shapes, metres, 0 = unknown.
        T_other_reference, T_true: (4, 4), points of the reference camera to the other.
        min_m, max_m: range of true depth that counts, metres.
    """
    wanted = in_range(truth, min_m, max_m)
    counted = wanted & is_predicted(depth)
    if not bool(counted.any()):
        return None
    ratio = truth[counted].double() / depth[counted].double()
    scale = float(np.median(ratio.cpu().numpy()))
    metrics = depth_metrics(depth.double() * scale, truth, min_m, max_m)
    if metrics is None:
        return None
    rotation, direction = motion_errors(T_other_reference, T_true)
    return PairErrors(
        depth=metrics,
        sc_inv=scale_invariant_error(depth[counted], truth[counted]),
        scale=scale,
        rotation_deg=rotation,
        direction_deg=direction,
        translation_cm=100.0 * _translation_error(T_other_reference, T_true),
        covered=float(counted.sum()) / float(wanted.sum()),
    )


def scale_invariant_error(depth: torch.Tensor, truth: torch.Tensor) -> float:
    """Return the standard deviation of the difference of log depth (Eigen et al. 2014, eq. 3).

    >>> truth = torch.tensor([1.0, 2.0])
    >>> round(scale_invariant_error(3.0 * truth, truth), 6)
    0.0
    """
    difference = truth.double().log() - depth.double().log()
    square = difference.square().mean() - difference.mean().square()
    return float(square.clamp_min(0.0).sqrt())


def _translation_error(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Return metres between the translations after the best factor for the found one."""
    a, b = found[:3, 3].double(), truth[:3, 3].double()
    square = a @ a
    factor = (a @ b) / square if float(square) > 1e-18 else square.new_zeros(())
    return float((b - factor * a).norm())
