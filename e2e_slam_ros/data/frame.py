"""What a camera delivers, and the protocol of everything that delivers it."""

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
        stamp_ns: image time in nanoseconds (what ROS stamps carry).
        image: (H, W, 3) uint8, RGB.
        camera: intrinsics of ``image`` (distortion included where the image has it).
        depth: (H, W) float32, z in metres, 0 = invalid; registered to ``image``; or None.
        T_map_camera: (4, 4) float64, camera optical frame to map; or None.
    """

    index: int
    stamp_ns: int
    image: npt.NDArray[np.uint8]
    camera: PinholeCamera
    depth: npt.NDArray[np.float32] | None = None
    T_map_camera: npt.NDArray[np.float64] | None = None


@dataclass
class ReaderReport:
    """What a reader left out and why; counted, so that it can be said once.

    Attributes:
        listed: entries the sequence's lists name.
        skipped: reason -> how many entries were left out for it.
        notes: sentences worth showing to the user, each once.
    """

    listed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, count: int = 1) -> None:
        """Count ``count`` entries left out for ``reason``."""
        self.skipped[reason] = self.skipped.get(reason, 0) + count

    def note(self, sentence: str) -> None:
        """Remember a sentence unless it was said before."""
        if sentence not in self.notes:
            self.notes.append(sentence)


@runtime_checkable
class FrameReader(Protocol):
    """A finite, random-access, lazy sequence of frames.

    ``reader[i]`` decodes frame i on demand and raises `DataError` when the file turns
    out to be unreadable; ``report`` says what was left out when the lists were read.
    """

    @property
    def name(self) -> str:
        """Short name of the sequence, for titles and file names."""
        ...

    @property
    def report(self) -> ReaderReport:
        """What was left out and why."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Frame: ...

    def __iter__(self) -> Iterator[Frame]: ...
