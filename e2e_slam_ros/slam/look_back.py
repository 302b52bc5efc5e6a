"""Better depth of an earlier keyframe, once it has neighbours on both sides."""

from __future__ import annotations

from dataclasses import replace

import torch

from e2e_slam_ros.config import RefineConfig
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.refine.confirmed import confirmed
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.slam.mapped_view import MappedView
from e2e_slam_ros.slam.result import Revision


class LookBack:
    """Estimates the depth of an earlier keyframe again, and replaces it in map and memory.

    Example:
        >>> from e2e_slam_ros.config import Config
        >>> from e2e_slam_ros.slam.mapped_view import MappedView
        >>> from e2e_slam_ros.slam.pipeline import SlamPipeline
        >>> parts = SlamPipeline(Config(), torch.device("cpu"))
        >>> look_back = LookBack(
        ...     parts.depth_stage, parts.keyframes, parts.surfels, MappedView(0)
        ... )
        >>> look_back(RefineConfig()) is None  # no keyframe yet
        True
    """

    def __init__(
        self, depth_stage: DepthStage, keyframes: Keyframes, surfels: SurfelMap, view: MappedView
    ) -> None:
        self._depth_stage = depth_stage
        self._keyframes = keyframes
        self._surfels = surfels
        self._view = view

    def __call__(self, refine: RefineConfig) -> Revision | None:
        """Give the keyframe with ``refine.wait_keyframes`` later ones better depth.

        Its depth is estimated again with views from both sides, and replaced in the map.

        Returns:
            The better depth; None where there is none.

        Raises:
            E2ESlamError: the new depth or the map refuses. Nothing is changed then.
        """
        wait = refine.wait_keyframes
        item = self._keyframes.from_newest(wait) if wait > 0 else None
        corrects = self._depth_stage.corrects(refine)
        if item is None or item.raw is None or not (corrects or refine.refines_keyframes):
            return None
        points = map_points(self._surfels, item.keyframe, refine)
        metric = self._depth_stage(item.keyframe, item.raw, self._keyframes, refine, points)
        unchanged = metric.outcome is None or not metric.outcome.changed
        if unchanged and not corrects:
            return None
        self._surfels.revise(*self._view(item.keyframe, metric.mapped))
        self._keyframes.revise(metric.remembered(item.raw, item.between))
        self._depth_stage.keep(metric, counted=False)
        self._settle(refine)
        return Revision(
            keyframe=item.keyframe,
            unrefined=metric.unrefined,
            estimate=metric.estimate,
            outcome=metric.outcome,
            raw=item.raw,
            scale_sigma=metric.scale_sigma,
        )

    def _settle(self, refine: RefineConfig) -> None:
        """Compare an older keyframe's depth with its later neighbours', now that it is better.

        What they still contradict is taken out of the map.
        """
        item = self._keyframes.from_newest(2 * refine.wait_keyframes)
        if item is None or item.estimate is None or not refine.support.enabled:
            return
        judged = confirmed(item.keyframe, item.estimate, self._keyframes, refine.support)
        # The agreement of others is in the standard deviation already.
        own = replace(judged.own, sigma=item.estimate.sigma)
        self._surfels.revise(*self._view(item.keyframe, own))
        self._keyframes.revise(replace(item, estimate=own))


def map_points(
    surfels: SurfelMap, keyframe: Keyframe, refine: RefineConfig
) -> torch.Tensor | None:
    """Return the (N, 3) surfels in view of a keyframe; None where the refinement uses none."""
    if not refine.uses_map or len(surfels) == 0:
        return None
    return surfels.points_in_view(keyframe.camera, keyframe.T_map_camera)
