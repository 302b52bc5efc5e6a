"""DeepV2D's motion module as the aligner of dense odometry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch.nn import functional

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.deepv2d.deepv2d import quarter_depth
from e2e_slam_ros.multiview.deepv2d.depth_module import quarter_intrinsics
from e2e_slam_ros.multiview.deepv2d.gauss_newton import keyframe_pairs
from e2e_slam_ros.multiview.deepv2d.source import SHIPPED
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d
from e2e_slam_ros.multiview.shipped_weights import chosen_weights
from e2e_slam_ros.tracking.dense.alignment import DenseAlignment
from e2e_slam_ros.tracking.dense.photometric import PhotometricAligner
from e2e_slam_ros.tracking.dense.view import DenseView

# Steps of the motion module. Its error falls over the first ones (docs/deepv2d.md).
_STEPS = 4
# Standard deviations as measured there: metres and degrees.
_SIGMA_M, _SIGMA_DEG = 0.04, 1.0


class MotionAligner:
    """Poses of views from the motion module, with the depth of the reference held.

    The network sees grey images. Its answer is not improved by anything else. Whether it is a
    pose at all is judged by brightness, at the smallest size of the images: there the pixels of
    a pose that is a degree off still agree.

    Args:
        config: ``depth.deepv2d``: weights and input size.
        device: where the network runs.

    Raises:
        DepthError: no weights, or weights that cannot be used.

    >>> K = torch.tensor([[40.0, 0.0, 31.5], [0.0, 40.0, 23.5], [0.0, 0.0, 1.0]])
    >>> wall = torch.full((1, 1, 48, 64), 2.0)
    >>> view = DenseView.from_images(torch.rand_like(wall), wall, K)
    >>> align = MotionAligner(DepthConfig(), torch.device("cpu"))
    >>> align([view], [view], torch.eye(4)[None]).T_reference_camera.shape
    torch.Size([1, 4, 4])
    """

    def __init__(self, config: DepthConfig, device: torch.device) -> None:
        settings = config.deepv2d
        self._size = (settings.height, settings.width)
        path = chosen_weights("deepv2d", settings.checkpoint, SHIPPED)
        self._motion = load_deepv2d(path, device).motion_module

    @torch.inference_mode()
    def __call__(
        self, views: Sequence[DenseView], references: Sequence[DenseView], T_start: torch.Tensor
    ) -> DenseAlignment:
        """Return the poses after the motion module's steps.

        Args:
            views, references: pyramids, the finest first; the references have depth.
            T_start: (B, 4, 4) T_reference_camera to start from.
        """
        T, solved = self._moved(views[0], references[0], T_start)
        judge = PhotometricAligner(views[-1:], references[-1:]).align(T, steps=(0,))
        share = torch.where(solved, judge.agreement, 0.0)
        return replace(
            judge,
            T_reference_camera=T,
            covariance=_covariance(T),
            agreement=share,
            # Pixels of the finest size, as other aligners count them.
            pixels=judge.pixels * 4 ** (len(views) - 1),
        )

    @torch.inference_mode()
    def proposal(
        self, view: DenseView, reference: DenseView, T_start: torch.Tensor
    ) -> torch.Tensor:
        """Return T_reference_camera (B, 4, 4) after the motion module's steps, not judged."""
        return self._moved(view, reference, T_start)[0].clone()

    def _moved(
        self, view: DenseView, reference: DenseView, T_start: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return T_reference_camera (B, 4, 4), and whether the last step was determined (B,)."""
        batch = len(T_start)
        both = torch.cat([self._small(reference.grey), self._small(view.grey)])
        features = self._motion.features(both[None].expand(-1, -1, 3, -1, -1))
        features = features.expand(batch, -1, -1, -1, -1)
        depth = quarter_depth(reference.points[:, 2:], features.shape[-2:])
        depth = depth.expand(batch, -1, -1, -1)
        k = quarter_intrinsics(self._intrinsics(reference)).expand(batch, 3, 3)
        first = torch.eye(4).to(T_start).expand(batch, 4, 4)
        poses = torch.stack([first, se3.inverse(T_start)], dim=1).to(depth)
        solved = torch.zeros(batch, dtype=torch.bool, device=depth.device)
        for _ in range(_STEPS):
            step = self._motion(features, depth, poses, k, keyframe_pairs(2))
            poses, solved = step.T_camera_map, step.solved[:, 1]
        return se3.inverse(poses[:, 1]).to(T_start), solved

    def _small(self, grey: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(
            grey, self._size, mode="bilinear", align_corners=False, antialias=True
        ).clamp(0.0, 1.0)

    def _intrinsics(self, view: DenseView) -> torch.Tensor:
        height, width = view.grey.shape[-2:]
        scale = view.intrinsics.new_tensor([self._size[1] / width, self._size[0] / height])
        k = view.intrinsics.clone()
        k[:, :2] *= scale[:, None]
        k[:, :2, 2] += 0.5 * scale - 0.5
        return k


def _covariance(T: torch.Tensor) -> torch.Tensor:
    """Return (B, 6, 6) of the twist, as the errors were measured."""
    sigma = [_SIGMA_M] * 3 + [math.radians(_SIGMA_DEG)] * 3
    matrix = torch.diag(torch.tensor(sigma, dtype=torch.float64, device=T.device).square())
    return matrix.expand(len(T), 6, 6)
