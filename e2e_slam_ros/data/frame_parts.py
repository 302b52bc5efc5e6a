"""Recorded frames by their parts: image, depth and pose; and which of them are there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError, DepthError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.data.images import check_size
from e2e_slam_ros.data.sequence import SequenceReader
from e2e_slam_ros.geometry.camera import PinholeCamera

Source = TypeVar("Source")


@dataclass(frozen=True, eq=False)
class FrameParts(Generic[Source]):
    """Places of the parts of one frame: files, or messages of a recording. None: there is none.

    Attributes:
        stamp_ns: image time in nanoseconds.
        image, depth: places where they are stored.
        T_map_camera: (4, 4) float64.

    >>> from pathlib import Path
    >>> FrameParts(1_000_000_000, Path("rgb/1.000000.png")).depth is None
    True
    """

    stamp_ns: int
    image: Source
    depth: Source | None = None
    T_map_camera: npt.NDArray[np.float64] | None = None


class PartsSequence(SequenceReader, Generic[Source]):
    """Base of the readers of recordings. A subclass decodes parts; all have one camera.

    A depth image that cannot be read, or has another size than the colour image, is counted. The
    frame then comes without depth. With ``require_depth`` the frame is refused instead.

    >>> from e2e_slam_ros.data.folder_sequence import FolderSequence
    >>> issubclass(FolderSequence, PartsSequence)
    True
    """

    def __init__(self, name: str, report: ReaderReport, require_depth: bool) -> None:
        super().__init__(name, report)
        self._parts: list[FrameParts[Source]] = []
        self._camera: PinholeCamera
        self._require_depth = require_depth

    @property
    def camera(self) -> PinholeCamera:
        """Intrinsics of all frames."""
        return self._camera

    @property
    def parts(self) -> Sequence[FrameParts[Source]]:
        """Stamps and places of all frames; nothing is decoded."""
        return self._parts

    @property
    def image_words(self) -> str:
        """The images as they are stored, in words; "" if not known."""
        return ""

    @property
    def depth_words(self) -> str:
        """The depth as it is stored, with its unit, in words; "" if there is none."""
        return ""

    def __len__(self) -> int:
        return len(self._parts)

    @abstractmethod
    def _decode_image(self, index: int, source: Source) -> tuple[npt.NDArray[np.uint8], str]:
        """Return frame ``index``'s (H, W, 3) RGB and what it is called in messages."""

    @abstractmethod
    def _decode_depth(self, index: int, source: Source) -> tuple[npt.NDArray[np.float32], str]:
        """Return frame ``index``'s (H, W) metres and what they are called in messages."""

    def _read(self, index: int) -> Frame:
        parts = self._parts[index]
        image, what = self._decode_image(index, parts.image)
        check_size(image.shape, self._camera, what)
        depth = None if parts.depth is None else self._checked_depth(index, parts.depth)
        pose = None if parts.T_map_camera is None else parts.T_map_camera.copy()
        return Frame(index, parts.stamp_ns, image, self._camera, depth, pose)

    def _checked_depth(self, index: int, source: Source) -> npt.NDArray[np.float32] | None:
        try:
            depth, what = self._decode_depth(index, source)
            check_size(depth.shape, self._camera, what)
        except (DataError, DepthError) as problem:
            if self._require_depth:
                raise
            self._count_once("unreadable depth image", index, str(problem))
            return None
        return depth


def keep_complete(
    name: str,
    entries: Sequence[FrameParts[Source]],
    require_depth: bool,
    require_pose: bool,
    report: ReaderReport,
) -> list[FrameParts[Source]]:
    """Return the entries with all required parts. The other entries are counted in ``report``.

    A missing part that is not required becomes a note.

    Raises:
        DataError: no entry is left.
    """
    kept = list(entries)
    for part, required in (("depth", require_depth), ("pose", require_pose)):
        complete = [
            e for e in kept if (e.depth if part == "depth" else e.T_map_camera) is not None
        ]
        lacking = len(kept) - len(complete)
        if required and lacking:
            report.skip(f"no {part} near the image's time", lacking)
            kept = complete
        elif 0 < lacking < len(kept):
            report.note(f"{lacking} of {len(kept)} images have no {part} near their time")
    if not kept:
        raise DataError.from_parts(
            f"sequence {name}",
            f"none of {len(entries)} images with everything that is required",
            "depth and pose within the tolerance of an image",
            "check that the clocks agree, or raise it with "
            f"{option('tolerance_s')} or {option('pose_tolerance_s')}",
        )
    return kept


def note_unsynchronised(
    part: str,
    candidates: int,
    found: Sequence[object | None],
    report: ReaderReport,
    tolerance: str = "tolerance_s",
) -> None:
    """Add a note if there are ``candidates`` of a part, but none near the time of any image."""
    if candidates and all(item is None for item in found):
        report.note(
            f"{candidates} entries of {part} are there, but none is near an image's time: "
            f"check that they share a clock, or raise {option(tolerance)}"
        )
