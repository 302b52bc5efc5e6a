"""Which images of a recording have depth and a pose, and what to say about the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.frame import ReaderReport


class FrameParts(Protocol):
    """An entry of a sequence: where its depth is, and its pose; None = it has none."""

    @property
    def depth(self) -> object | None:
        """Where the depth is."""
        ...

    @property
    def T_map_camera(self) -> object | None:
        """The pose."""
        ...


Parts = TypeVar("Parts", bound=FrameParts)


def keep_complete(
    name: str,
    entries: Sequence[Parts],
    require_depth: bool,
    require_pose: bool,
    report: ReaderReport,
) -> list[Parts]:
    """Return the entries that have what is required; the rest is counted.

    What is lacking but not required becomes a note.

    Raises:
        DataError: nothing is left.
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
    """Say so when there are ``candidates`` of a part but not one is near an image's time."""
    if candidates and all(item is None for item in found):
        report.note(
            f"{candidates} entries of {part} are there, but none is near an image's time: "
            "check that they share a clock, or raise the tolerance"
        )
