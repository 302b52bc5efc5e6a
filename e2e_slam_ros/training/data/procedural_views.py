"""Procedural rooms as a training set: rendered once, kept as files, then read."""

from __future__ import annotations

from functools import partial

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.training.data.config import ProceduralConfig
from e2e_slam_ros.training.data.parallel_rendering import render_each
from e2e_slam_ros.training.data.ranges import check_ranges
from e2e_slam_ros.training.data.rendered_file import cache_folder
from e2e_slam_ros.training.data.room_file import (
    DEPTH_UNIT_M,
    ROOM_FILE,
    RoomPair,
)
from e2e_slam_ros.training.data.room_rendering import render_room_file
from e2e_slam_ros.training.data.views import ViewPair


class ProceduralViews:
    """A `ViewSet` of pairs of views of random rooms, with exact depth and poses.

    Rooms are rendered when they are first needed, or all at once by `render_missing`. A file that
    is damaged or belongs to another configuration is rendered again.

    Raises:
        TrainingError: the smallest field of view is above the largest.

    >>> len(ProceduralViews(ProceduralConfig(rooms=3, pairs_per_room=4)))
    12
    """

    def __init__(self, config: ProceduralConfig) -> None:
        check_ranges("procedural", config, ("fov_min_deg", "fov_max_deg"))
        self._config = config
        self.folder = cache_folder(config.cache, "rooms")

    @property
    def name(self) -> str:
        """Short name, for messages and logs."""
        return "procedural"

    def __len__(self) -> int:
        return self._config.rooms * self._config.pairs_per_room

    def missing(self) -> list[int]:
        """Return the seeds of the rooms that have no usable file yet."""
        first = self._config.first_seed
        seeds = range(first, first + self._config.rooms)
        return [
            seed
            for seed in seeds
            if not ROOM_FILE.is_complete(
                ROOM_FILE.path(self.folder, self._config, seed), self._config, seed
            )
        ]

    def render_missing(
        self, processes: int = 1, progress: bool = False, device: torch.device | str = "cpu"
    ) -> int:
        """Render every room that has no file yet and return how many there were.

        It can be interrupted: finished rooms stay, and the next call goes on. About one second a
        room on one core.

        Args:
            processes: how many to use, each with one thread; 1 is this one.
            device: where to render. On a GPU, too, processes help: rooms are built on the CPU.

        Raises:
            TrainingError: a process died.
            DataError: the folder cannot be written, the disk is full.
        """
        seeds = self.missing()
        # Processes have one thread each as they are.
        whole = partial(render_room_file, self.folder, self._config, device=device)
        render = whole if processes > 1 else partial(self._render, device=device)
        render_each(render, seeds, "room", processes, progress)
        return len(seeds)

    def pair(self, index: int, generator: torch.Generator) -> ViewPair:
        """Return pair ``index``, either view as the target.

        Raises:
            IndexError: no such pair.
            DataError: the room had to be rendered and cannot be written.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"pair {index} of {len(self)}")
        room, place = divmod(index, self._config.pairs_per_room)
        seed = self._config.first_seed + room
        path = ROOM_FILE.path(self.folder, self._config, seed)
        try:
            stored = ROOM_FILE.read(path, self._config, seed, place)
        except TrainingError:
            self._render(seed, "cpu")
            stored = ROOM_FILE.read(path, self._config, seed, place)
        swapped = bool(torch.rand((), generator=generator) < 0.5)
        return _view_pair(stored, 1 if swapped else 0)

    def _render(self, seed: int, device: torch.device | str) -> None:
        """Render a room with one thread: rooms are small, more would wait for one another."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            render_room_file(self.folder, self._config, seed, device)
        finally:
            torch.set_num_threads(before)


def _view_pair(stored: RoomPair, target: int) -> ViewPair:
    """Return a stored pair with view ``target`` (0 or 1) as the target."""
    order = [target, 1 - target]
    image = torch.from_numpy(stored.image[order]).permute(0, 3, 1, 2)
    # Through int32: not every release of torch knows uint16.
    depth = torch.from_numpy(stored.depth[order].astype("int32")).float() * DEPTH_UNIT_M
    pose = torch.from_numpy(stored.T_map_camera[order])
    return ViewPair(
        image=image[0],
        source=image[1],
        depth=depth[:1],
        source_depth=depth[1:],
        intrinsics=torch.from_numpy(stored.intrinsics).float(),
        T_source_target=(se3.inverse(pose[1]) @ pose[0]).float(),
        has_source=True,
        has_pose=True,
        has_depth=True,
    )
