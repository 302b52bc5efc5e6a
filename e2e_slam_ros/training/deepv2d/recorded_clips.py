"""Clips of a recording with depth and poses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn import functional

from e2e_slam_ros.config import CameraConfig
from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.open import open_reader
from e2e_slam_ros.data.slice import FrameSlice, parse_frames
from e2e_slam_ros.multiview.deepv2d.deepv2d import relative_poses
from e2e_slam_ros.slam.preprocess import Preprocessor
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.deepv2d.config import RecordedClipConfig


class RecordedClips:
    """Every run of consecutive frames of a recording that all have depth and a pose.

    All frames are kept in memory, half a megabyte each at 256x192.

    Args:
        config: which recording and frames.
        frames: of a clip.
        width, height: images are resized to this; missing depth stays missing.

    Raises:
        DataError: the recording cannot be read.
        TrainingError: it has no clip.

    >>> import tempfile
    >>> from e2e_slam_ros.data.tum_writer import TumWriter
    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 4, 64, 48, texture_size=64)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with TumWriter(folder, reader.camera) as writer:
    ...         for frame in reader:
    ...             writer.write(frame)
    ...     clips = RecordedClips(RecordedClipConfig(path=folder), 3, 64, 48)
    >>> len(clips), clips.clip(0, [2, 0]).image.shape
    (2, torch.Size([1, 2, 3, 48, 64]))
    """

    def __init__(self, config: RecordedClipConfig, frames: int, width: int, height: int) -> None:
        self.frames = frames
        start, stop = parse_frames(config.frames)
        reader = FrameSlice(open_reader(Path(config.path).expanduser()), start, stop)
        prepare = Preprocessor(CameraConfig(working_width=width), torch.device("cpu"))
        self._views: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]] = []
        self._first: list[int] = []
        run = 0
        for index in range(len(reader)):
            frame = reader[index]
            if frame.depth is None or frame.T_map_camera is None:
                run = 0
                continue
            ready = prepare(frame)
            assert ready.depth is not None
            image = functional.interpolate(
                ready.image, (height, width), mode="bilinear", align_corners=False, antialias=True
            )
            depth = functional.interpolate(ready.depth, (height, width), mode="nearest-exact")
            pose = torch.as_tensor(frame.T_map_camera, dtype=torch.float64)
            k = ready.camera.resized(width, height).matrix()
            self._views.append((image.mul(255).round().to(torch.uint8), depth, pose, k))
            run += 1
            if run >= frames:
                self._first.append(len(self._views) - frames)
        if not self._first:
            raise TrainingError.from_parts(
                f"recording {config.path}",
                f"no {frames} frames in a row with depth and poses",
                "at least one clip",
                "choose another recorded.path or recorded.frames, or recorded.share=0",
            )

    def __len__(self) -> int:
        return len(self._first)

    def clip(self, index: int, frames: Sequence[int]) -> ClipBatch:
        """Return the chosen frames of a clip as a batch of one, the first of them the keyframe."""
        views = [self._views[self._first[index] + frame] for frame in frames]
        image, depth, pose, k = (list(parts) for parts in zip(*views, strict=True))
        depths = torch.cat(depth)[None]
        return ClipBatch(
            image=torch.cat(image)[None].float() / 255.0,
            depth=depths,
            intrinsics=k[0][None].float(),
            T_camera_map=relative_poses(torch.stack(pose)[None]),
            moving=torch.zeros_like(depths, dtype=torch.bool),
            noise=torch.zeros(1, len(views), 6),
        )
