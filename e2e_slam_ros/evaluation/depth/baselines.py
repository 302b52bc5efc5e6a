"""Depth baselines: maps that do not depend on the image."""

from __future__ import annotations

import torch
from torch.nn import functional

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.evaluation.working_frames import WorkingFrames

CONSTANT, TRAINING_MEDIAN = "constant depth", "median of frames"
# Frames the median is taken over: 500 of 320x240 are 150 MB.
_MOST_FRAMES = 500


def constant_depth() -> torch.Tensor:
    """Return the map (1, 1) of one metre everywhere; only its scaled metrics mean much."""
    return torch.ones(1, 1)


def training_median(reader: FrameReader, config: Config) -> torch.Tensor:
    """Return each pixel's median depth over the frames of a sequence, at the working size.

    Depth outside ``depth.min_m``..``depth.max_m`` does not count. A pixel that was never measured
    gets the median of everything. Of long sequences, 500 evenly spread frames are taken.

    Returns:
        (H, W) float32 metres on the CPU.

    Raises:
        DataError: no frame has depth in range, or frames differ in size.
    """
    frames = WorkingFrames(reader, config.camera, torch.device("cpu"))
    count = min(_MOST_FRAMES, len(reader))
    positions = [index * len(reader) // count for index in range(count)]
    low, high = config.depth.min_m, config.depth.max_m
    maps = []
    for keyframe in frames.at(positions):
        if keyframe.sensor_depth is not None:
            depth = keyframe.sensor_depth[0, 0]
            maps.append(torch.where((depth > low) & (depth < high), depth, torch.nan))
    sizes = {tuple(depth.shape) for depth in maps}
    if len(sizes) > 1:
        raise _refusal(reader, f"images of {len(sizes)} sizes", "one size")
    known = [depth[~depth.isnan()] for depth in maps]
    if not any(len(values) for values in known):
        raise _refusal(reader, "no frame with depth in range", "depth images")
    per_pixel = torch.stack(maps).nanmedian(dim=0).values
    return torch.where(per_pixel.isnan(), torch.cat(known).median(), per_pixel)


def at_size(depth: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return an (h, w) map at (H, W), nearest."""
    if depth.shape == (height, width):
        return depth
    return functional.interpolate(depth[None, None], (height, width), mode="nearest-exact")[0, 0]


def _refusal(reader: FrameReader, got: str, expected: str) -> DataError:
    return DataError.from_parts(
        f"--baselines {reader.name}", got, expected, "choose another sequence or other frames"
    )
