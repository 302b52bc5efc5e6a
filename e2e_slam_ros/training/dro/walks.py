"""Rendered walks as a training set: rendered once, kept as files, then read."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import torch

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.training.data.parallel_rendering import render_each
from e2e_slam_ros.training.data.ranges import check_ranges
from e2e_slam_ros.training.data.rendered_file import cache_folder, fingerprint
from e2e_slam_ros.training.dro.walk import Walk, read_walk, write_walk
from e2e_slam_ros.training.dro.walk_config import WalkConfig
from e2e_slam_ros.training.dro.walk_rendering import render_walk

# Changes whenever the same configuration would give another walk.
_RECIPE = "walks 1"


class Walks:
    """The walks of a configuration, by their number.

    Args:
        config: which rooms, and what walks through them look like.
        in_memory: keep every walk that was read, about five megabytes each.

    Raises:
        TrainingError: the smallest interval or field of view is above the largest.

    >>> len(Walks(WalkConfig(rooms=3)))
    3
    """

    def __init__(self, config: WalkConfig, in_memory: bool = False) -> None:
        check_ranges(
            "walks",
            config,
            ("fov_min_deg", "fov_max_deg"),
            ("interval_min_s", "interval_max_s"),
        )
        self._config = config
        self._in_memory = in_memory
        self._kept: dict[int, Walk] = {}
        self.folder = cache_folder(config.cache, "walks")

    def __len__(self) -> int:
        return self._config.rooms

    def missing(self) -> list[int]:
        """Return the numbers of the walks that have no file yet."""
        return [number for number in range(len(self)) if not self._path(number).is_file()]

    def render_missing(self, progress: bool = False, processes: int = 1) -> int:
        """Render every walk that has no file yet and return how many there were.

        It can be interrupted: finished walks stay. About three seconds a walk on one core.

        Args:
            processes: how many to use, each with one thread.

        Raises:
            TrainingError: a process died.
            DataError: the folder cannot be written.
            DepthError: the weights of the package's network cannot be used.
        """
        numbers = self.missing()
        seeds = [self._config.first_seed + number for number in numbers]
        render = partial(_render_file, self.folder, self._config)
        render_each(render, seeds, "walk", processes, progress)
        return len(numbers)

    def walk(self, number: int) -> Walk:
        """Return walk ``number``; one that is missing or damaged is rendered.

        Raises:
            IndexError: no such walk.
            DataError: it had to be rendered and cannot be written.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"walk {number} of {len(self)}")
        if (kept := self._kept.get(number)) is not None:
            return kept
        try:
            found = read_walk(self._path(number))
        except TrainingError:
            _render_file(self.folder, self._config, self._config.first_seed + number)
            found = read_walk(self._path(number))
        if self._in_memory:
            self._kept[number] = found
        return found

    def _path(self, number: int) -> Path:
        return _path(self.folder, self._config, self._config.first_seed + number)


def _path(folder: Path, config: WalkConfig, seed: int) -> Path:
    return folder / f"walk_{fingerprint(config, _RECIPE)}_{seed}.npz"


@cache
def _single() -> NetworkDepth:
    """Return the package's network; it is loaded once in each process."""
    return NetworkDepth(DepthConfig(), torch.device("cpu"))


def _render_file(folder: Path, config: WalkConfig, seed: int) -> None:
    write_walk(_path(folder, config, seed), render_walk(config, seed, _single()))
