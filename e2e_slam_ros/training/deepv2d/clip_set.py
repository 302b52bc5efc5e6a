"""Rendered clips as a set: rendered once, kept as files, then read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.multiview.deepv2d.deepv2d import relative_poses
from e2e_slam_ros.training.data.parallel_rendering import render_each
from e2e_slam_ros.training.data.ranges import check_ranges
from e2e_slam_ros.training.data.rendered_file import cache_folder
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.deepv2d.clip_config import ClipConfig
from e2e_slam_ros.training.deepv2d.clip_rendering import render_clip_file
from e2e_slam_ros.training.deepv2d.room_clip import CLIP_FILE, RoomClip

_MM_PER_M = 1000.0


class ClipSet:
    """Clips of rooms by number. Missing or damaged files are rendered again.

    Args:
        config: which rooms, and what clips of them look like.
        in_memory: keep every clip that was read, about a megabyte each.

    Raises:
        TrainingError: a smallest value above its largest.

    >>> len(ClipSet(ClipConfig(rooms=3, clips_per_room=4)))
    12
    """

    def __init__(self, config: ClipConfig, in_memory: bool = False) -> None:
        check_ranges(
            "clips",
            config,
            ("fov_min_deg", "fov_max_deg"),
            ("interval_min_s", "interval_max_s"),
        )
        self.config = config
        self._in_memory = in_memory
        self._kept: dict[int, RoomClip] = {}
        self.folder = cache_folder(config.cache, "clips")

    def __len__(self) -> int:
        return self.config.rooms * self.config.clips_per_room

    @property
    def frames(self) -> int:
        """Frames of each clip."""
        return self.config.frames

    def missing(self) -> list[int]:
        """Return the seeds of the rooms that have no usable file yet."""
        first = self.config.first_seed
        seeds = range(first, first + self.config.rooms)
        return [s for s in seeds if not CLIP_FILE.is_complete(self._path(s), self.config, s)]

    def render_missing(self, progress: bool = False, processes: int = 1) -> int:
        """Render every room that has no file yet, a second each; return how many there were.

        Args:
            processes: how many to use, each with one thread.

        Raises:
            TrainingError: a process died.
            DataError: the folder cannot be written, the disk is full.
        """
        seeds = self.missing()
        render = partial(render_clip_file, self.folder, self.config)
        render_each(render, seeds, "room", processes, progress)
        return len(seeds)

    def clip(self, index: int, frames: Sequence[int]) -> ClipBatch:
        """Return the chosen frames of a clip as a batch of one, the first of them the keyframe.

        Raises:
            IndexError: no such clip.
            DataError: the room had to be rendered and cannot be written.
        """
        stored, chosen = self._stored(index), list(frames)
        depth = torch.from_numpy(stored.depth[chosen].astype("int32")).float() / _MM_PER_M
        image = torch.from_numpy(stored.image[chosen]).permute(0, 3, 1, 2).float() / 255.0
        return ClipBatch(
            image=image[None],
            depth=depth[None, :, None],
            intrinsics=torch.from_numpy(stored.intrinsics).float()[None],
            T_camera_map=relative_poses(torch.from_numpy(stored.T_map_camera[chosen])[None]),
            moving=torch.from_numpy(stored.moving[chosen])[None, :, None],
            noise=torch.zeros(1, len(chosen), 6),
        )

    def _stored(self, index: int) -> RoomClip:
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        if (kept := self._kept.get(index)) is not None:
            return kept
        room, place = divmod(index, self.config.clips_per_room)
        seed = self.config.first_seed + room
        try:
            stored = CLIP_FILE.read(self._path(seed), self.config, seed, place)
        except TrainingError:
            render_clip_file(self.folder, self.config, seed)
            stored = CLIP_FILE.read(self._path(seed), self.config, seed, place)
        if self._in_memory:
            self._kept[index] = stored
        return stored

    def _path(self, seed: int) -> Path:
        return CLIP_FILE.path(self.folder, self.config, seed)
