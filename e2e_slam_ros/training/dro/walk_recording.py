"""A recording as a walk: its frames in the form of the rendered walks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.multiview.motion_stereo import MotionStereoDepth
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.training.dro.walk import NEIGHBOURS, Walk

CPU = torch.device("cpu")


@torch.inference_mode()
def record_walk(frames: Iterable[Frame], width: int, height: int, progress: bool = False) -> Walk:
    """Return the frames that have depth and pose as a walk; every one is a keyframe.

    Single-image depth and motion stereo are those of the working size, reduced afterwards.

    Args:
        width, height: size of the walk's images; each a multiple of 16.

    Raises:
        TrainingError: fewer than two frames have depth and pose.
    """
    config = Config()
    prepare, memory = Preprocessor(config.camera, CPU), Keyframes(2 * NEIGHBOURS)
    stereo, single = MotionStereoDepth(config.depth, CPU), NetworkDepth(config.depth, CPU)
    rows: list[tuple[np.ndarray[Any, Any], ...]] = []
    intrinsics = torch.eye(3)
    for frame in tqdm(frames, unit="frame", disable=not progress):
        if frame.depth is None or frame.T_map_camera is None:
            continue
        working = prepare(frame)
        assert working.depth is not None
        index, pose = memory.next_index, torch.tensor(frame.T_map_camera)
        keyframe = Keyframe(
            index, index, frame.stamp_ns, working.image, working.camera, pose, None,
            KeyframeDecision(True, "walk"),
        )  # fmt: skip
        answer = stereo.estimate(keyframe, memory)
        memory.add(MappedKeyframe(keyframe))
        sure = answer.confidence if answer.confidence is not None else torch.ones(1)
        own = working.camera.matrix()
        alone = single.predict(working.image, own[None])
        intrinsics = working.camera.resized(width, height).matrix()
        size = (height, width)
        image = _reduced(working.image, size).clamp(0.0, 1.0)
        depth = functional.interpolate(working.depth.float(), size, mode="nearest-exact")
        rows.append(
            (
                image[0].mul(255.0).round().to(torch.uint8).numpy(),
                depth[0, 0].mul(1e3).round().clamp(0, 65e3).numpy().astype(np.uint16),
                pose.numpy(),
                _reduced(alone.log(), size)[0, 0].half().numpy(),
                _reduced_where_known(answer.depth, sure, size)[0, 0].half().numpy(),
                _reduced(sure, size)[0, 0].mul(255.0).round().to(torch.uint8).numpy(),
            )
        )
    if len(rows) < 2:
        raise TrainingError.from_parts(
            "recording", f"{len(rows)} frames with depth and pose", "2 or more", "choose another"
        )
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    pictures, depths, poses, logs, seen, weight = columns
    k = intrinsics.double().numpy()
    return Walk(pictures, depths, poses, poses, k, logs, seen, weight)


def _reduced(image: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(
        image, size, mode="bilinear", align_corners=False, antialias=True
    )


def _reduced_where_known(
    depth: torch.Tensor, sure: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Return the log depth, reduced without what is not known."""
    known = (sure > 0).float()
    log_depth = torch.where(sure > 0, depth, torch.ones_like(depth)).clamp(0.05, 60.0).log()
    return _reduced(log_depth * known, size) / _reduced(known, size).clamp_min(1e-3)
