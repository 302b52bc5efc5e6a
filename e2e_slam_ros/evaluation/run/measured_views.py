"""Measured depth images of some keyframes, with which the final map is compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.evaluation.run.map_quality import MapQuality, MeasuredView, map_quality
from e2e_slam_ros.evaluation.trajectory.alignment import Similarity
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.mapping.surfel_cloud import SurfelCloud

Matrix = npt.NDArray[np.float64]
# Width of the images that are kept; half a megabyte for ten of them.
_WIDTH = 160


@dataclass(frozen=True, eq=False)
class MeasuredDepth:
    """A keyframe's measured depth, reduced.

    Attributes:
        stamp_ns: image time.
        depth: (h, w) float32 metres, 0 = unknown.
        camera: its intrinsics.
        T_map_camera: (4, 4), the pose that the keyframe was mapped at.

    Example:
        >>> camera = PinholeCamera(width=4, height=3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
        >>> MeasuredDepth(0, np.ones((3, 4), np.float32), camera, np.eye(4)).depth.shape
        (3, 4)
    """

    stamp_ns: int
    depth: npt.NDArray[np.float32]
    camera: PinholeCamera
    T_map_camera: Matrix


def measured_depth(keyframe: Keyframe, truth: torch.Tensor) -> MeasuredDepth:
    """Return the measured depth (H, W) of a keyframe at a small size; pixels are not mixed."""
    width = min(_WIDTH, keyframe.camera.width)
    height = max(1, round(keyframe.camera.height * width / keyframe.camera.width))
    small = torch.nn.functional.interpolate(
        truth[None, None].float(), (height, width), mode="nearest-exact"
    )
    return MeasuredDepth(
        keyframe.stamp_ns,
        small[0, 0].cpu().numpy(),
        keyframe.stated_camera.resized(width, height),
        keyframe.T_map_camera.detach().cpu().numpy().astype(np.float64),
    )


def quality_of_map(
    cloud: SurfelCloud,
    measured: Sequence[MeasuredDepth],
    true_pose: Callable[[int], Matrix | None],
    truth_of_map: Similarity | None,
) -> MapQuality | None:
    """Compare the final map with measured depth at true poses; None where nothing is measured.

    Args:
        cloud: the map.
        measured: of keyframes.
        true_pose: returns T_truth_camera (4, 4) of a stamp; None where it is not known. The pose
            that the keyframe was mapped at counts then.
        truth_of_map: from the map to the frame of the true poses; None: they are the same.
    """
    views = []
    for item in measured:
        true = true_pose(item.stamp_ns)
        if true is None and truth_of_map is not None:
            continue
        pose = item.T_map_camera if true is None else true
        views.append(MeasuredView(item.depth, item.camera, pose))
    return map_quality(cloud if truth_of_map is None else moved_cloud(cloud, truth_of_map), views)


def moved_cloud(cloud: SurfelCloud, motion: Similarity) -> SurfelCloud:
    """Return surfels moved by a similarity; colours and confidences stay."""
    normals = cloud.normals @ motion.rotation.T
    positions = motion.apply(cloud.positions.astype(np.float64))
    return replace(
        cloud, positions=positions.astype(np.float32), normals=normals.astype(np.float32)
    )
