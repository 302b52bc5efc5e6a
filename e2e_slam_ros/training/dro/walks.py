"""Rendered walks as a training set: rendered once, kept as files, then read."""

from __future__ import annotations

from pathlib import Path

import torch
from tqdm import tqdm

from e2e_slam_ros.config.depth import DepthConfig
from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.training.data.ranges import check_ranges
from e2e_slam_ros.training.data.rendered_file import cache_folder, fingerprint
from e2e_slam_ros.training.dro.walk import Walk, read_walk, write_walk
from e2e_slam_ros.training.dro.walk_config import WalkConfig
from e2e_slam_ros.training.dro.walk_rendering import render_walk

# Changes whenever the same configuration would give another walk.
_RECIPE = "walks 1"


class Walks:
    """The walks of a configuration, by their number.

    Raises:
        TrainingError: the smallest interval or field of view is above the largest.

    >>> len(Walks(WalkConfig(rooms=3)))
    3
    """

    def __init__(self, config: WalkConfig) -> None:
        check_ranges(
            "walks",
            config,
            ("fov_min_deg", "fov_max_deg"),
            ("interval_min_s", "interval_max_s"),
        )
        self._config = config
        self.folder = cache_folder(config.cache, "walks")

    def __len__(self) -> int:
        return self._config.rooms

    def missing(self) -> list[int]:
        """Return the numbers of the walks that have no file yet."""
        return [number for number in range(len(self)) if not self._path(number).is_file()]

    def render_missing(self, progress: bool = False) -> int:
        """Render every walk that has no file yet and return how many there were.

        It can be interrupted: finished walks stay. About three seconds a walk on one core.

        Raises:
            DataError: the folder cannot be written.
            DepthError: the weights of the package's network cannot be used.
        """
        numbers = self.missing()
        single = NetworkDepth(DepthConfig(), torch.device("cpu")) if numbers else None
        for number in tqdm(numbers, unit="walk", disable=not progress or not numbers):
            assert single is not None
            self._render(number, single)
        return len(numbers)

    def walk(self, number: int) -> Walk:
        """Return walk ``number``; one that is missing or damaged is rendered.

        Raises:
            IndexError: no such walk.
            DataError: it had to be rendered and cannot be written.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"walk {number} of {len(self)}")
        try:
            return read_walk(self._path(number))
        except TrainingError:
            self._render(number, NetworkDepth(DepthConfig(), torch.device("cpu")))
            return read_walk(self._path(number))

    def _render(self, number: int, single: NetworkDepth) -> None:
        walk = render_walk(self._config, self._config.first_seed + number, single)
        write_walk(self._path(number), walk)

    def _path(self, number: int) -> Path:
        seed = self._config.first_seed + number
        return self.folder / f"walk_{fingerprint(self._config, _RECIPE)}_{seed}.npz"
