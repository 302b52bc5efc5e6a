"""DeepV2D: motion and depth by turns (Teed and Deng 2020, section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.deepv2d.architecture import DeepV2DArchitecture
from e2e_slam_ros.multiview.deepv2d.depth_module import (
    DepthModule,
    DepthPrediction,
    check_clip,
    quarter_intrinsics,
)
from e2e_slam_ros.multiview.deepv2d.gauss_newton import global_pairs, keyframe_pairs
from e2e_slam_ros.multiview.deepv2d.initial_pose import InitialPoseNet
from e2e_slam_ros.multiview.deepv2d.motion_module import MotionModule

# Depth of the self-initialisation, metres: the paper says "constant", not which.
CONSTANT_M = 2.0


@dataclass(frozen=True, eq=False)
class ClipEstimate:
    """Depth and poses of a clip.

    Attributes:
        prediction: of the keyframe, frame 0; None where nothing was asked for (0 iterations).
        depth: (B, 1, H, W) metres, the last depth, or the initial one.
        T_camera_map: (B, N, 4, 4); the keyframe's is as it was given, or the identity.
        solved: (B, N) bool, false where the last motion step could not determine a pose.

    >>> one, pose = torch.ones(1, 1, 8, 8), torch.eye(4).expand(1, 2, 4, 4)
    >>> ClipEstimate(None, one, pose, torch.ones(1, 2) > 0).prediction is None
    True
    """

    prediction: DepthPrediction | None
    depth: torch.Tensor
    T_camera_map: torch.Tensor
    solved: torch.Tensor


class DeepV2D(nn.Module):
    """Depth module, motion module and a network for the first poses.

    >>> from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
    >>> network = DeepV2D(LIGHT)
    >>> k = torch.tensor([[[40.0, 0.0, 31.5], [0.0, 40.0, 23.5], [0.0, 0.0, 1.0]]])
    >>> with torch.inference_mode():
    ...     found = network(torch.rand(1, 3, 3, 48, 64), k, iterations=2)
    >>> found.depth.shape, found.T_camera_map.shape
    (torch.Size([1, 1, 48, 64]), torch.Size([1, 3, 4, 4]))
    """

    def __init__(self, architecture: DeepV2DArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.depth_module = DepthModule(architecture)
        self.motion_module = MotionModule(architecture)
        self.initial_pose = InitialPoseNet()

    def forward(
        self,
        images: torch.Tensor,
        intrinsics: torch.Tensor,
        iterations: int = 8,
        *,
        T_camera_map: torch.Tensor | None = None,
        held: bool = False,
        depth: torch.Tensor | None = None,
        motion_steps: int = 1,
        global_poses: bool = False,
    ) -> ClipEstimate:
        """Return depth and poses after alternating motion and depth.

        Args:
            images: (B, N, 3, H, W) in [0, 1]; the keyframe first.
            intrinsics: (B, 3, 3), of the images.
            iterations: turns of motion and depth; 0 returns what it begins with.
            T_camera_map: (B, N, 4, 4) first poses, metres; None: from the images.
            held: the given poses are kept. One turn of depth is then all there is to do.
            depth: (B, 1, H, W) metres, first depth, of a single-image network; None: a constant
                ("self initialisation").
            motion_steps: steps of the motion module in each turn.
            global_poses: use all pairs of frames instead of those with the keyframe. The depth
                module then runs once for every frame in each turn.

        Raises:
            DepthError: see `DepthModule`; poses to hold but none given; a negative number of
                iterations.
        """
        if iterations < 0 or (held and T_camera_map is None):
            got = f"{iterations} iterations" if iterations < 0 else "held poses, but no poses"
            raise DepthError.from_parts(
                "DeepV2D", got, "at least 0, and poses to hold", "change the arguments"
            )
        poses = self.initial_pose(images) if T_camera_map is None else T_camera_map
        check_clip(images, poses, intrinsics)
        if depth is None:
            depth = torch.full_like(images[:, 0, :1], CONSTANT_M)
        solved = torch.ones(images.shape[:2], dtype=torch.bool, device=images.device)
        prediction: DepthPrediction | None = None
        features = None if held or not iterations else self.motion_module.features(images)
        for turn in range(iterations):
            if features is not None:
                known = depth if not global_poses else self._all_depths(images, poses, intrinsics,
                                                                        depth, turn)  # fmt: skip
                for _ in range(motion_steps):
                    poses, solved = self._move(features, known, poses, intrinsics, global_poses)
            prediction = self.depth_module(images, poses, intrinsics)
            depth = prediction.depth
            if held:
                break
        return ClipEstimate(prediction, depth, poses, solved)

    def _move(
        self,
        features: torch.Tensor,
        depth: torch.Tensor,
        poses: torch.Tensor,
        intrinsics: torch.Tensor,
        global_poses: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return poses and flags after one step; ``depth`` is (B, 1 or N, H, W)."""
        small = quarter_depth(depth, features.shape[-2:])
        pairs = (global_pairs if global_poses else keyframe_pairs)(features.shape[1])
        step = self.motion_module(features, small, poses, quarter_intrinsics(intrinsics), pairs)
        return step.T_camera_map, step.solved

    def _all_depths(
        self,
        images: torch.Tensor,
        poses: torch.Tensor,
        intrinsics: torch.Tensor,
        first: torch.Tensor,
        turn: int,
    ) -> torch.Tensor:
        """Return (B, N, H, W): the depth of every frame, each as the keyframe once."""
        count = images.shape[1]
        if turn == 0:
            return first.expand(-1, count, -1, -1)
        depths = [first]
        for i in range(1, count):
            order = [i, *(j for j in range(count) if j != i)]
            depths.append(self.depth_module(images[:, order], poses[:, order], intrinsics).depth)
        return torch.cat(depths, dim=1)


def quarter_depth(depth: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Return depth (B, M, h, w) at the feature map's size, sampled at its pixel centres.

    Unknown pixels stay unknown: nothing is averaged over edges or holes.

    >>> quarter_depth(torch.ones(1, 1, 8, 8), torch.Size([2, 2])).shape
    torch.Size([1, 1, 2, 2])
    """
    return functional.interpolate(depth, size, mode="nearest-exact")


def relative_poses(T_map_camera: torch.Tensor) -> torch.Tensor:
    """Return T_camera_map (B, N, 4, 4) with the map moved to frame 0, in float32.

    The differences are taken in the precision of the poses: a map may be far from its origin.

    Args:
        T_map_camera: (B, N, 4, 4), float64.

    >>> relative_poses(torch.eye(4).double().expand(1, 2, 4, 4)).dtype
    torch.float32
    """
    return (se3.inverse(T_map_camera) @ T_map_camera[:, :1]).float()
