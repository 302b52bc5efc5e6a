"""Small pictures and a few points of a keyframe, for the report."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from e2e_slam_ros.evaluation.run.summary import KeyframeRecord, KeyframeSample
from e2e_slam_ros.slam.result import KeyframeResult

_SAMPLE_WIDTH = 320
_FIT_POINTS = 400


def measured_points(
    result: KeyframeResult, truth: torch.Tensor | None, min_m: float, max_m: float
) -> npt.NDArray[np.float32] | None:
    """Return (M, 3) evenly picked true surface points in the map frame, at most 400.

    Args:
        result: the keyframe; points are taken where it has depth.
        truth: (H, W) true depth, metres, 0 = invalid; None gives None.
        min_m, max_m: the depth that is fused; farther points are not in the map.
    """
    if truth is None:
        return None
    valid = (truth > min_m) & (truth < max_m) & (result.estimate.depth[0, 0] > 0.0)
    rows, columns = torch.nonzero(valid, as_tuple=True)
    if len(rows) == 0:
        return None
    step = max(1, len(rows) // _FIT_POINTS)
    v, u = rows[::step][:_FIT_POINTS], columns[::step][:_FIT_POINTS]
    z = truth[v, u].double()
    camera = result.keyframe.camera
    x = (u.double() - camera.cx) / camera.fx * z
    y = (v.double() - camera.cy) / camera.fy * z
    T_map_camera = result.keyframe.T_map_camera.to(z)
    points = torch.stack([x, y, z], dim=1) @ T_map_camera[:3, :3].T + T_map_camera[:3, 3]
    return points.float().cpu().numpy()


def keyframe_sample(
    result: KeyframeResult, record: KeyframeRecord, truth: torch.Tensor | None
) -> KeyframeSample:
    """Reduce a keyframe to pictures at most 320 pixels wide; ``truth`` is (H, W) metres."""
    image, depth = result.keyframe.image, result.estimate.depth
    height, width = image.shape[-2:]
    small_width = min(_SAMPLE_WIDTH, width)
    size = (max(1, round(height * small_width / width)), small_width)
    interpolate = torch.nn.functional.interpolate
    color = interpolate(image, size, mode="area")[0].permute(1, 2, 0)
    small_depth = interpolate(depth, size, mode="nearest-exact")[0, 0]
    small_truth = None
    if truth is not None:
        small_truth = interpolate(truth[None, None], size, mode="nearest-exact")[0, 0]
    return KeyframeSample(
        record=record,
        camera=result.keyframe.camera.resized(size[1], size[0]),
        image=(color.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy(),
        depth=small_depth.float().cpu().numpy(),
        truth=None if small_truth is None else small_truth.float().cpu().numpy(),
    )
