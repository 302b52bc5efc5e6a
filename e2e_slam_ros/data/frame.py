"""A camera frame, and the protocol of all readers of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.geometry.camera import PinholeCamera


@dataclass(frozen=True, eq=False)
class Frame:
    """One recorded camera frame at its native size, as NumPy arrays.

    Attributes:
        index: position in its sequence.
        stamp_ns: image time in nanoseconds (the stamp in ROS).
        image: (H, W, 3) uint8, RGB.
        camera: intrinsics of ``image``, with the distortion of the image if there is any.
        depth: (H, W) float32, z in metres, 0 = invalid; registered to ``image``; or None.
        T_map_camera: (4, 4) float64, camera optical frame to map; or None.
        pose_sigma: standard deviations of ``T_map_camera``'s position (metres) and rotation
            (radians) along and about each axis, where its source states them; or None.
        tracked_sigma_rad: of a pose that was found or refined by tracking: angle by which its
            error relative to neighbouring frames misplaces a point at a usual depth, radians
            (standard deviation); or None.

    >>> camera = PinholeCamera(4, 3, fx=4.0, fy=4.0, cx=1.5, cy=1.0)
    >>> Frame(0, 1_000_000_000, np.zeros((3, 4, 3), np.uint8), camera).depth is None
    True
    """

    index: int
    stamp_ns: int
    image: npt.NDArray[np.uint8]
    camera: PinholeCamera
    depth: npt.NDArray[np.float32] | None = None
    T_map_camera: npt.NDArray[np.float64] | None = None
    pose_sigma: tuple[float, float] | None = None
    tracked_sigma_rad: float | None = None


@dataclass
class ReaderReport:
    """Counts of the entries that a reader left out, and notes for the user.

    Attributes:
        listed: number of entries in the sequence's lists.
        skipped: number of left-out entries for each reason.
        notes: sentences for the user, each one once.

    >>> report = ReaderReport(listed=3)
    >>> report.skip("missing file")
    >>> report.skipped
    {'missing file': 1}
    """

    listed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count ``count`` left-out entries under ``reason``."""
        self.skipped[reason] = self.skipped.get(reason, 0) + count

    def note(self, sentence: str) -> None:
        """Add a sentence to the notes, unless it is there."""
        if sentence not in self.notes:
            self.notes.append(sentence)


@runtime_checkable
class FrameReader(Protocol):
    """A finite sequence of frames with random access. Frames are decoded on demand.

    ``reader[i]`` decodes frame i. It raises `DataError` when the file is unreadable. ``report``
    holds the entries that were left out when the lists were read.

    >>> from e2e_slam_ros.simulation import ProceduralReader
    >>> isinstance(ProceduralReader(0, 2, 32, 24, texture_size=64), FrameReader)
    True
    """

    @property
    def name(self) -> str:
        """Short name of the sequence, for titles and file names."""
        ...

    @property
    def report(self) -> ReaderReport:
        """Counts of left-out entries, and notes."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Frame: ...

    def __iter__(self) -> Iterator[Frame]: ...
