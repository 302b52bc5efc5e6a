"""A recording whose poses have been made worse, to see what that does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from e2e_slam_ros.data.frame import Frame, FrameReader, ReaderReport
from e2e_slam_ros.tracking import rigid
from e2e_slam_ros.tracking.rigid import Floats


class NoisyPoses:
    """A reader whose poses carry noise: normal, independent from frame to frame and axis to axis.

    A frame has the same noise each time it is read. Implements `FrameReader`.

    Args:
        reader: the recording.
        sigma_m: standard deviation of the position along each axis, metres.
        sigma_deg: standard deviation of the rotation about each axis, degrees.
        seed: of the noise.

    Attributes:
        clean: the recording as it is.

    Example:
        >>> from e2e_slam_ros.simulation import ProceduralReader
        >>> reader = ProceduralReader(0, 2, 32, 24, texture_size=64)
        >>> noisy = NoisyPoses(reader, sigma_m=0.03, sigma_deg=1.0)
        >>> shift = noisy[1].T_map_camera[:3, 3] - reader[1].T_map_camera[:3, 3]
        >>> bool(0.0 < np.abs(shift).max() < 0.15), len(noisy)
        (True, 2)
    """

    def __init__(
        self, reader: FrameReader, sigma_m: float, sigma_deg: float, seed: int = 0
    ) -> None:
        self.clean = reader
        generator = np.random.default_rng(seed)
        sigma = np.repeat([sigma_m, np.radians(sigma_deg)], 3)
        self._noise: Floats = rigid.exp(generator.normal(size=(len(reader), 6)) * sigma)

    @property
    def name(self) -> str:
        """Short name of the recording."""
        return self.clean.name

    @property
    def report(self) -> ReaderReport:
        """Counts of left-out entries, and notes."""
        return self.clean.report

    def __len__(self) -> int:
        return len(self.clean)

    def __getitem__(self, index: int) -> Frame:
        frame = self.clean[index]
        if frame.T_map_camera is None:
            return frame
        return replace(frame, T_map_camera=frame.T_map_camera @ self._noise[index])

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))
