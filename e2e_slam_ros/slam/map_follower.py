"""The map and the keyframes, moved where the poses of keyframes are corrected."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.geometry.se3 import similarity_scale
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.slam.camera_tracking import CameraTracking
from e2e_slam_ros.slam.keyframe_selector import KeyframeSelector
from e2e_slam_ros.slam.mapped_view import MappedView

_SAME = torch.eye(4, dtype=torch.float64)


class MapFollower:
    """Tells the tracker of mapped keyframes, and moves what it has corrected since.

    Args:
        poses: what finds or refines the poses; None: given poses stay as they are.
        keyframes: the memory of keyframes.
        surfels: the map.
        selector: the keyframe rule with its reference keyframe.
        depth_stage: holds the scale of depth, which follows the map's.
        view: the size at which keyframes are in the map.

    Example:
        >>> from e2e_slam_ros.config import Config
        >>> from e2e_slam_ros.slam.mapped_view import MappedView
        >>> from e2e_slam_ros.slam.pipeline import SlamPipeline
        >>> parts = SlamPipeline(Config(), torch.device("cpu"))
        >>> follower = MapFollower(
        ...     None,
        ...     parts.keyframes,
        ...     parts.surfels,
        ...     parts.selector,
        ...     parts.depth_stage,
        ...     MappedView(0),
        ... )
        >>> follower.move({7: torch.eye(4, dtype=torch.float64)})
        0
    """

    def __init__(
        self,
        poses: CameraTracking | None,
        keyframes: Keyframes,
        surfels: SurfelMap,
        selector: KeyframeSelector,
        depth_stage: DepthStage,
        view: MappedView,
    ) -> None:
        self._poses = poses
        self._keyframes = keyframes
        self._surfels = surfels
        self._selector = selector
        self._depth_stage = depth_stage
        self._view = view
        self._joined_loops = 0

    def follow(self, keyframe: Keyframe, depth: torch.Tensor) -> str | None:
        """Tell the tracker of a mapped keyframe; move the keyframes that it has corrected.

        The keyframe is in the map by now, so an error is returned and not raised.

        Args:
            keyframe: at the working size.
            depth: (1, 1, H, W) metres, 0 = unknown.

        Returns:
            The reason why a correction was refused, or None.
        """
        if self._poses is None:
            return None
        try:
            self._poses.mapped(keyframe, depth)
            moved = self._poses.corrections(self._keyframes.poses())
            if moved:
                self.move(moved)
                self._poses.corrected(moved)
                self._depth_stage.follow_map(similarity_scale(moved.get(keyframe.index, _SAME)))
            loops, joined = self._poses.loops, self._joined_loops
            self._joined_loops = loops
            if loops > joined:
                self._join_doubled()
        except E2ESlamError as error:
            return f"poses are not corrected: {error}"
        return None

    def move(self, T_new_old: Mapping[int, torch.Tensor]) -> int:
        """Correct the poses of keyframes: in the map, in memory and in the rule.

        Arguments, result and errors are those of `SlamPipeline.move_keyframes`.
        """
        # The map refuses all that the memory refuses, so after it nothing can fail.
        surfels = self._surfels.move(T_new_old)
        self._keyframes.move(T_new_old)
        kept = {index: self._keyframes.get(index) for index in T_new_old}
        self._selector.move(
            {item.keyframe.stamp_ns: T_new_old[i] for i, item in kept.items() if item is not None}
        )
        return surfels

    def _join_doubled(self) -> None:
        """Merge what a closed loop laid onto each other, in the views of the last keyframes."""
        for item in self._keyframes.recent():
            camera = self._view.camera(item.keyframe.camera)
            self._surfels.merge_overlaps(camera, item.keyframe.T_map_camera)
