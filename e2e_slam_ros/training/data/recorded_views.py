"""Recorded sequences as a training set: read once, kept small, paired by how the camera moved."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import CameraConfig
from e2e_slam_ros.config.errors import E2ESlamError, TrainingError
from e2e_slam_ros.data.frame import FrameReader
from e2e_slam_ros.slam.preprocess import Preprocessor, WorkingImage
from e2e_slam_ros.training.data.config import RecordedConfig
from e2e_slam_ros.training.data.pairs import Viewpoint, partners, without_rotation
from e2e_slam_ros.training.data.views import ViewPair

_MILLIMETRES = 1000.0
_FARTHEST = 65_535


class RecordedViews:
    """A `ViewSet` of the frames of a recorded sequence.

    Frames are undistorted and reduced, and kept in memory: 0.5 MB a frame of 320x240 pixels. Those
    that cannot be read are left out and counted.

    Raises:
        TrainingError: no frame can be read; one frame, or none with a partner, where pairs are
            needed; no depth and no pairs.
    """

    def __init__(self, reader: FrameReader, config: RecordedConfig) -> None:
        self._name, self._config = reader.name, config
        self.left_out = 0
        self._images: list[torch.Tensor] = []
        self._depths: list[torch.Tensor | None] = []
        self._intrinsics: list[torch.Tensor] = []
        self._poses: list[torch.Tensor | None] = []
        self._read(reader)
        self._partners: list[torch.Tensor] = [torch.empty(0, dtype=torch.long)] * len(self._images)
        if config.pairs:
            self._find_partners()
        self._usable = [
            index
            for index, depth in enumerate(self._depths)
            if depth is not None or len(self._partners[index])
        ]
        if not self._usable:
            raise TrainingError.from_parts(
                f"sequence {self._name}",
                "frames without depth labels",
                "depth labels, or pairs of frames",
                "record depth, or use it for self-supervision with pairs on",
            )

    @property
    def name(self) -> str:
        """The sequence's name."""
        return self._name

    def __len__(self) -> int:
        return len(self._usable)

    def pair(self, index: int, generator: torch.Generator) -> ViewPair:
        """Return frame ``index`` with a random one of its partners, or with itself.

        Raises:
            IndexError: no such frame.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"view {index} of {len(self)}")
        target = self._usable[index]
        choices = self._partners[target]
        source, has_source = target, len(choices) > 0
        if has_source:
            drawn = int(torch.randint(len(choices), (), generator=generator))
            source = int(choices[drawn])
        here, there = self._poses[target], self._poses[source]
        motion, has_pose = torch.eye(4), False
        if here is not None and there is not None:
            motion, has_pose = (torch.linalg.inv(there) @ here).float(), has_source
        pair = ViewPair(
            image=self._images[target],
            source=self._images[source],
            depth=self._depth(target),
            source_depth=self._depth(source),
            intrinsics=self._intrinsics[target],
            T_source_target=motion if has_pose else torch.eye(4),
            has_source=has_source,
            has_pose=has_pose,
            has_depth=self._depths[target] is not None,
        )
        return without_rotation(pair) if self._config.rectify and has_pose else pair

    def _read(self, reader: FrameReader) -> None:
        prepare = Preprocessor(CameraConfig(working_width=self._config.width), torch.device("cpu"))
        for position in range(len(reader)):
            try:
                frame = reader[position]
                working = prepare(frame)
            except E2ESlamError:
                self.left_out += 1
                continue
            self._images.append(working.image[0].mul(255.0).round().to(torch.uint8).clone())
            self._depths.append(_stored_depth(working) if self._config.labels else None)
            self._intrinsics.append(working.camera.matrix(torch.device("cpu")).float().clone())
            known = frame.T_map_camera if self._config.poses else None
            self._poses.append(None if known is None else torch.from_numpy(known).double())
        if not self._images:
            raise TrainingError.from_parts(
                f"sequence {self._name}",
                f"no readable frame of {len(reader)}",
                "at least one",
                "check the path and the frames asked for",
            )

    def _find_partners(self) -> None:
        if len(self._images) == 1:
            raise TrainingError.from_parts(
                f"sequence {self._name}",
                "one frame",
                "at least two, for pairs",
                "use more frames, or set its pairs to false where depth labels are used",
            )
        motions = [
            None if pose is None else Viewpoint(pose, self._median_depth(index))
            for index, pose in enumerate(self._poses)
        ]
        self._partners = partners(motions, self._config)
        if not any(len(choices) for choices in self._partners):
            raise TrainingError.from_parts(
                f"sequence {self._name}",
                f"no overlap between frames: none of {len(self._images)} has a partner within "
                f"{self._config.min_parallax:g} to {self._config.max_parallax:g} of parallax and "
                f"{self._config.max_rotation_deg:g} degrees",
                "frames that see the same place from a little apart",
                "widen min_parallax, max_parallax and max_rotation_deg, or use other frames",
            )

    def _median_depth(self, index: int) -> float:
        depth = self._depths[index]
        known = None if depth is None else depth[depth > 0]
        if known is None or known.numel() == 0:
            return self._config.median_depth_m
        return float(known.float().median()) / _MILLIMETRES

    def _depth(self, index: int) -> torch.Tensor:
        """Return (1, H, W) float32 metres; zeros where there are no labels."""
        depth = self._depths[index]
        if depth is None:
            return torch.zeros_like(self._images[index][:1], dtype=torch.float32)
        return depth.float() / _MILLIMETRES


def _stored_depth(working: WorkingImage) -> torch.Tensor | None:
    """Return (1, H, W) int32 millimetres, 0 = unknown; None without a single known depth."""
    if working.depth is None:
        return None
    millimetres = (working.depth[0] * _MILLIMETRES).round()
    usable = (millimetres > 0) & (millimetres <= _FARTHEST)
    if not bool(usable.any()):
        return None
    return torch.where(usable, millimetres, 0.0).to(torch.int32).clone()
