"""Recorded sequences as a training set: read once, kept small, paired by how the camera moved."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class _Stored:
    """A frame: image (3, H, W) uint8, depth (1, H, W) millimetres, K (3, 3), T_map_camera."""

    image: torch.Tensor
    depth: torch.Tensor | None
    intrinsics: torch.Tensor
    pose: torch.Tensor | None

    def metres(self) -> torch.Tensor:
        """Return (1, H, W) float32; zeros where there are no labels."""
        if self.depth is None:
            return torch.zeros_like(self.image[:1], dtype=torch.float32)
        return self.depth.float() / _MILLIMETRES


class RecordedViews:
    """A `ViewSet` of the frames of a recorded sequence.

    Frames are undistorted and reduced, and kept in memory: 0.5 MB a frame of 320x240 pixels. Those
    that cannot be read are left out and counted.

    Raises:
        TrainingError: no frame can be read; one frame, or none with a partner, where pairs are
            needed; no depth and no pairs.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> reader = ProceduralReader(0, 2, 64, 48, texture_size=64)
    >>> views = RecordedViews(reader, RecordedConfig(width=64, pairs=False))
    >>> len(views), views.pair(0, torch.Generator()).has_depth
    (2, True)
    """

    def __init__(self, reader: FrameReader, config: RecordedConfig) -> None:
        self._name, self._config = reader.name, config
        self.left_out = 0
        self._frames: list[_Stored] = []
        self._read(reader)
        self._partners: list[torch.Tensor] = [torch.empty(0, dtype=torch.long)] * len(self._frames)
        if config.pairs:
            self._find_partners()
        self._usable = [
            index
            for index, frame in enumerate(self._frames)
            if frame.depth is not None or len(self._partners[index])
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
        here, there = self._frames[target], self._frames[source]
        motion, has_pose = torch.eye(4), False
        if has_source and here.pose is not None and there.pose is not None:
            motion, has_pose = (torch.linalg.inv(there.pose) @ here.pose).float(), True
        pair = ViewPair(
            here.image, there.image, here.metres(), there.metres(), here.intrinsics, motion,
            has_source, has_pose, has_depth=here.depth is not None,
        )  # fmt: skip
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
            image = working.image[0].mul(255.0).round().to(torch.uint8).clone()
            depth = _stored_depth(working) if self._config.labels else None
            intrinsics = working.camera.matrix(torch.device("cpu")).float().clone()
            known = frame.T_map_camera if self._config.poses else None
            pose = None if known is None else torch.from_numpy(known).double()
            self._frames.append(_Stored(image, depth, intrinsics, pose))
        if not self._frames:
            raise TrainingError.from_parts(
                f"sequence {self._name}",
                f"no readable frame of {len(reader)}",
                "at least one",
                "check the path and the frames asked for",
            )

    def _find_partners(self) -> None:
        if len(self._frames) == 1:
            raise TrainingError.from_parts(
                f"sequence {self._name}",
                "one frame",
                "at least two, for pairs",
                "use more frames, or set its pairs to false where depth labels are used",
            )
        motions = [
            None if frame.pose is None else Viewpoint(frame.pose, self._median_depth(frame.depth))
            for frame in self._frames
        ]
        self._partners = partners(motions, self._config)
        if not any(len(choices) for choices in self._partners):
            raise TrainingError.from_parts(
                f"sequence {self._name}",
                f"no overlap between frames: none of {len(self._frames)} has a partner within "
                f"{self._config.min_parallax:g} to {self._config.max_parallax:g} of parallax and "
                f"{self._config.max_rotation_deg:g} degrees",
                "frames that see the same place from a little apart",
                "widen min_parallax, max_parallax and max_rotation_deg, or use other frames",
            )

    def _median_depth(self, depth: torch.Tensor | None) -> float:
        known = None if depth is None else depth[depth > 0]
        if known is None or known.numel() == 0:
            return self._config.median_depth_m
        return float(known.float().median()) / _MILLIMETRES


def _stored_depth(working: WorkingImage) -> torch.Tensor | None:
    """Return (1, H, W) int32 millimetres, 0 = unknown; None without a single known depth."""
    if working.depth is None:
        return None
    millimetres = (working.depth[0] * _MILLIMETRES).round()
    usable = (millimetres > 0) & (millimetres <= _FARTHEST)
    if not bool(usable.any()):
        return None
    return torch.where(usable, millimetres, 0.0).to(torch.int32).clone()
