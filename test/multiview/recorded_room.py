"""A recorded room, mapped without its depth: the sensor's depth is the judge."""

from __future__ import annotations

from pathlib import Path

import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.tum import TumReader
from e2e_slam_ros.slam.pipeline import SlamPipeline


def map_room(config: Config, shared_data: Path, frames: range) -> tuple[list[float], int]:
    """Map frames of rooms_000 from images and poses.

    Returns abs_rel of the keyframes that got depth on a tenth of their pixels, and how many
    surfels the map has.
    """
    pipeline = SlamPipeline(config, torch.device("cpu"))
    reader, errors = TumReader(shared_data / "hololens" / "rooms_000"), []
    for item in (reader[i] for i in frames):
        decision = pipeline.choose_keyframe(item)
        if not decision.is_keyframe:
            continue
        result = pipeline.map_keyframe(item, decision)
        depth, truth = result.estimate.depth, result.keyframe.sensor_depth
        assert truth is not None
        both = (depth > 0) & (truth > 0.1) & (truth < 8.0)
        if both.float().mean() > 0.1:
            errors.append(((depth - truth).abs() / truth)[both].mean().item())
    return errors, len(pipeline.surfels)
