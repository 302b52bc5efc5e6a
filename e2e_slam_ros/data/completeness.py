"""Selection of the images with depth and a pose, and notes about the other images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport


class FrameParts(Protocol):
    """An entry of a sequence with its depth and its pose. None means that the part is missing.

    >>> from e2e_slam_ros.data.folder_sequence import FrameFiles
    >>> from pathlib import Path
    >>> entry: FrameParts = FrameFiles(0, Path("rgb/0.png"))
    >>> entry.depth is None
    True
    """

    @property
    def depth(self) -> object | None:
        """Location of the depth image."""
        ...

    @property
    def T_map_camera(self) -> object | None:
        """Pose of the camera."""
        ...


Parts = TypeVar("Parts", bound=FrameParts)


def keep_complete(
    name: str,
    entries: Sequence[Parts],
    require_depth: bool,
    require_pose: bool,
    report: ReaderReport,
) -> list[Parts]:
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
            "check that the clocks agree, raise the tolerance, or require less",
        )
    return kept


def note_unsynchronised(
    part: str, candidates: int, found: Sequence[object | None], report: ReaderReport
) -> None:
    """Add a note if there are ``candidates`` of a part, but none near the time of any image."""
    if candidates and all(item is None for item in found):
        report.note(
            f"{candidates} entries of {part} are there, but none is near an image's time: "
            "check that they share a clock, or raise the tolerance"
        )
