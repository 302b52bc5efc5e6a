"""Residuals of images warped by the poses of a run, beside those of no motion at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from e2e_slam_ros.config.input import flag
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.geometry.sampling import sample_nearest
from e2e_slam_ros.geometry.warp import inverse_warp

# Pairs in which the poses say that the image moved by fewer pixels tell nothing.
_LEAST_MOTION_PX, _LEAST_VALID = 2.0, 0.15
_FEWEST_PAIRS = 3
# Right poses left 0.1 to 0.2 of the grey values' difference and less than 0.1 of depth's, in
# rendered scenes and two recordings. Where depth follows from the poses only the first one counts.
_PHOTOMETRIC, _GEOMETRIC = 0.5, 0.25
_PHOTOMETRIC_ALONE = 0.6


@dataclass(frozen=True)
class PoseVerdict:
    """Residuals of a run.

    Attributes:
        pairs: number of pairs of keyframes.
        photometric: residual of grey values after warping, over that of no motion (median).
        geometric: the same for depth, where depth was measured; else None.

    >>> PoseVerdict(10, 0.4, 0.3).contradicts, PoseVerdict(10, 1.2, 1.5).contradicts
    (False, True)
    """

    pairs: int
    photometric: float
    geometric: float | None

    @property
    def contradicts(self) -> bool:
        """True when the poses explain little more than a camera that stands still."""
        if self.pairs < _FEWEST_PAIRS:
            return False
        if self.geometric is None:
            return self.photometric > _PHOTOMETRIC_ALONE
        return self.photometric > _PHOTOMETRIC and self.geometric > _GEOMETRIC

    @property
    def sentence(self) -> str:
        """The contradiction in words, for the user."""
        depth = "" if self.geometric is None else f" and {self.geometric:.0%} of that of depth"
        return (
            f"the camera poses contradict the images: warped by them, neighbouring keyframes keep "
            f"{self.photometric:.0%} of the difference of their grey values{depth} (right poses: "
            f"20%). The map is wrong. Check the frame of the poses (optical: z "
            f"forward), their clock and their unit, and the unit of depth ({flag('depth_factor')})"
        )


class PoseResiduals:
    """Collects the residuals of each keyframe against the one before.

    >>> PoseResiduals().verdict() is None
    True
    """

    def __init__(self) -> None:
        self._last: tuple[Keyframe, torch.Tensor] | None = None
        self._photometric: list[float] = []
        self._geometric: list[float] = []

    @torch.inference_mode()
    def add(self, keyframe: Keyframe, estimate: DepthEstimate, measured: bool) -> None:
        """Compare a keyframe with the last one. ``measured``: its depth does not need poses."""
        depth = estimate.depth
        last, self._last = self._last, (keyframe, depth)
        if last is None or last[0].image.shape != keyframe.image.shape:
            return
        before, depth_before = last
        T = torch.linalg.inv(before.T_map_camera) @ keyframe.T_map_camera
        k, k_before = keyframe.camera.matrix(depth.device), before.camera.matrix(depth.device)
        warp = inverse_warp(before.image, depth, T.to(depth.device), k, k_before)
        height, width = depth.shape[-2:]
        grid = pixel_grid(height, width, depth.device, depth.dtype).unsqueeze(0)
        valid = warp.valid[0, 0]
        if float(valid.float().mean()) < _LEAST_VALID:
            return
        moved = (warp.uv - grid).norm(dim=1)[0][valid]
        if float(moved.median()) < _LEAST_MOTION_PX:
            return
        still = _grey_residual(before.image, keyframe.image, valid)
        if still <= 0.0:
            return
        self._photometric.append(_grey_residual(warp.image, keyframe.image, valid) / still)
        if measured:
            found = sample_nearest(depth_before, torch.where(warp.valid, warp.uv, grid * 0))
            both = valid & (found[0, 0] > 0) & (depth_before[0, 0] > 0)
            if bool(both.any()):
                error = (warp.z - found).abs()[0, 0][both] / found[0, 0][both]
                alone = (depth - depth_before).abs()[0, 0][both] / depth_before[0, 0][both]
                self._geometric.append(float(error.mean() / alone.mean().clamp(min=1e-6)))

    def verdict(self) -> PoseVerdict | None:
        """Return the medians; None without any pair that moved."""
        if not self._photometric:
            return None
        geometric = float(np.median(self._geometric)) if self._geometric else None
        return PoseVerdict(len(self._photometric), float(np.median(self._photometric)), geometric)


def _grey_residual(first: torch.Tensor, second: torch.Tensor, valid: torch.Tensor) -> float:
    """Return the mean absolute difference of grey values, without a change of brightness."""
    difference = (first.mean(1) - second.mean(1))[0][valid]
    return float((difference - difference.median()).abs().mean())
