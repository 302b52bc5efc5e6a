"""Dense alignment where features fail: the second stage of the visual tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from e2e_slam_ros.config.dense import OdometryConfig
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.corners import Image
from e2e_slam_ros.tracking.dense.alignment import Aligner
from e2e_slam_ros.tracking.dense.icp import icp
from e2e_slam_ros.tracking.dense.photometric import photometric
from e2e_slam_ros.tracking.dense.preparation import DensePreparation
from e2e_slam_ros.tracking.dense.view import DenseView
from e2e_slam_ros.tracking.depth_prior import DepthImage
from e2e_slam_ros.tracking.rigid import Floats

# Keyframes whose images are kept.
_KEPT = 4

# A view, a keyframe's view with depth, and T_keyframe_camera (1, 4, 4) as expected -> a pose to
# begin the alignment from, (1, 4, 4).
Proposal: TypeAlias = Callable[[DenseView, DenseView, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, eq=False)
class DensePose:
    """A pose relative to a keyframe.

    Attributes:
        keyframe: its index.
        T_keyframe_camera: (4, 4).
        covariance: (6, 6) of the twist ``[rho, phi]`` in the camera, metres and radians.
        pixels: number of pixels that agree.

    Example:
        >>> DensePose(3, np.eye(4), np.zeros((6, 6)), 9000).keyframe
        3
    """

    keyframe: int
    T_keyframe_camera: Floats
    covariance: Floats
    pixels: int


class DenseStage:
    """Finds the pose of an image against the depth of the last keyframes.

    With depth in the image it aligns shapes first (ICP), then brightness and depth together;
    without, brightness alone.

    Args:
        camera: of the images, at the tracker's size.
        limits: size of the images, and when a pose is refused.
        propose: gives a pose to begin from where no other start succeeds; None: there is none. A
            proposal is never the answer: the alignment that began there must agree with the
            images as any other.

    Example:
        >>> camera = PinholeCamera(width=160, height=120, fx=120.0, fy=120.0, cx=79.5, cy=59.5)
        >>> image = np.random.default_rng(0).integers(0, 256, (120, 160), dtype=np.uint8)
        >>> wall = DepthImage(np.full((120, 160), 2.0, np.float32), camera, 0.01)
        >>> stage = DenseStage(camera, OdometryConfig())
        >>> stage.give(0, image, wall)
        >>> pose = stage.find(image, None, {0: [np.eye(4)]})
        >>> bool(np.allclose(pose.T_keyframe_camera, np.eye(4), atol=1e-6))
        True
    """

    def __init__(
        self, camera: PinholeCamera, limits: OdometryConfig, propose: Proposal | None = None
    ) -> None:
        self._propose = propose
        self._prepare = DensePreparation(camera, limits.width, torch.device("cpu"))
        self._limits = limits
        self._given: dict[int, tuple[Image, DepthImage]] = {}
        self._references: dict[int, list[DenseView]] = {}

    @property
    def keyframes(self) -> tuple[int, ...]:
        """The keyframes that images can be aligned with, the newest first."""
        return tuple(sorted(self._given, reverse=True))

    def give(self, keyframe: int, image: Image, depth: DepthImage) -> None:
        """Keep a keyframe's grey image (H, W) with its depth.

        The view is made when an image is first aligned with it: most are never needed.
        """
        self._given[keyframe] = image, depth
        self._references.pop(keyframe, None)
        for old in self.keyframes[_KEPT:]:
            del self._given[old]
            self._references.pop(old, None)

    def find(
        self, image: Image, depth: DepthImage | None, starts: Mapping[int, Sequence[Floats]]
    ) -> DensePose | None:
        """Return the pose of a grey image, or None.

        Args:
            image: (H, W) at the tracker's size.
            depth: its depth; or None.
            starts: for each keyframe to try, in order, the poses relative to it to start from.
        """
        pyramid = self._prepare.grey_view(image, depth).pyramid(self._limits.levels)
        methods: tuple[Aligner, ...] = (photometric,) if depth is None else (icp, photometric)
        for keyframe, poses in starts.items():
            T = torch.from_numpy(np.stack(poses)).to(pyramid[0].grey)
            found = self._attempts(methods, pyramid, keyframe, T)
            if found is not None:
                return found
        if self._propose is None:
            return None
        for keyframe, poses in starts.items():
            T = torch.from_numpy(poses[0])[None].to(pyramid[0].grey)
            proposed = self._propose(pyramid[0], self._reference(keyframe)[0], T).to(T)
            if bool(torch.isfinite(proposed).all()):
                found = self._attempts(methods, pyramid, keyframe, proposed)
                if found is not None:
                    return found
        return None

    def _attempts(
        self,
        methods: Sequence[Aligner],
        pyramid: list[DenseView],
        keyframe: int,
        starts: torch.Tensor,
    ) -> DensePose | None:
        found = (self._attempt(align, pyramid, keyframe, starts) for align in methods)
        return next((pose for pose in found if pose is not None), None)

    def _attempt(
        self, align: Aligner, pyramid: list[DenseView], keyframe: int, starts: torch.Tensor
    ) -> DensePose | None:
        best = align(pyramid, self._reference(keyframe), starts).best(self._limits)
        if best is None:
            return None
        return DensePose(
            keyframe,
            rigid.orthonormal(best.T_reference_camera[0].double().numpy()),
            best.covariance[0].double().numpy(),
            int(best.pixels[0]),
        )

    def _reference(self, keyframe: int) -> list[DenseView]:
        if keyframe not in self._references:
            view = self._prepare.grey_view(*self._given[keyframe])
            self._references[keyframe] = view.pyramid(self._limits.levels)
        return self._references[keyframe]
