"""Input of a run: a folder, a bag or the demonstration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from e2e_slam_ros.commands.demo import demo_reader
from e2e_slam_ros.config.errors import DataError, E2ESlamError
from e2e_slam_ros.config.input import InputOptions

if TYPE_CHECKING:
    from e2e_slam_ros.data.frame import FrameReader

_LOOKED_AT = 8
# Beginnings of notes about parts that are there. They do not explain a missing part.
_FOUND = ("colour = ", "depth = ", "camera_info of ", "other camera_info")


@dataclass(frozen=True)
class Offer:
    """Parts of a sequence's frames, judged from ``looked_at`` frames.

    ``remarks`` are the notes of the sequence's reader; ``contradiction`` the refusal of poses that
    the images contradict, or None.
    """

    has_depth: bool
    has_pose: bool
    looked_at: int
    remarks: tuple[str, ...] = ()
    contradiction: DataError | None = None

    @property
    def lacking(self) -> str:
        """Text for a missing part, with the reader's remarks."""
        why = f" ({'; '.join(self.remarks)})" if self.remarks else ""
        return f"none in {self.looked_at} frames looked at{why}"

    def require_pose(self, do: str) -> None:
        """Raise `DataError`, with advice, unless there are poses that fit the images."""
        if not self.has_pose:
            needed = (
                "a pose for each frame (groundtruth.txt, or a pose or odometry topic in a bag)"
            )
            raise DataError.from_parts("camera poses", self.lacking, needed, do)
        if self.contradiction is not None:
            raise self.contradiction

    def require_depth_to_compare(self) -> None:
        """Raise `DataError` unless there are depth images, which results are compared with."""
        if not self.has_depth:
            raise DataError.from_parts(
                "depth images",
                self.lacking,
                "registered depth images to compare with",
                "choose a sequence that has them",
            )


def open_sequence(
    path: Path | None, frames: str | None, options: InputOptions | None = None
) -> FrameReader:
    """Open a folder or bag, cut to ``frames`` ("A:B"). None opens the demonstration.

    ``options`` name parts of the input.

    Raises:
        DataError: the input does not exist, cannot be read, or no frame of it is left.
    """
    from e2e_slam_ros.data.slice import FrameSlice, parse_frames

    wanted = None if frames is None else parse_frames(frames)
    reader: FrameReader
    if path is None:
        reader = demo_reader()
    else:
        from e2e_slam_ros.data.open import open_reader

        reader = open_reader(path.expanduser(), options=options)
    if wanted is not None:
        reader = FrameSlice(reader, *wanted)
    if len(reader) == 0:
        raise DataError.from_parts(
            f"sequence {reader.name}", "no frames", "at least one", "check the path and --frames"
        )
    return reader


def look_at(reader: FrameReader, insist: bool = False) -> Offer:
    """Decode a few evenly spaced frames and return which parts they have.

    ``insist``: the user says whose poses they are, whatever the images show.

    Raises:
        DataError: no such frame can be read.
    """
    count = min(_LOOKED_AT, len(reader))
    positions = sorted({round(i * (len(reader) - 1) / max(1, count - 1)) for i in range(count)})
    from e2e_slam_ros.data.pose_check import check_poses

    seen, reason = [], ""
    for position in positions:
        try:
            seen.append(reader[position])
        except E2ESlamError as error:
            reason = str(error)
    if not seen:
        raise DataError.from_parts(
            f"sequence {reader.name}",
            f"no readable frame among {len(positions)} looked at ({reason})",
            "readable images",
            "check the files",
        )
    contradiction = None
    try:
        check_poses(reader, insist)
    except DataError as refusal:
        contradiction = refusal
    return Offer(
        contradiction=contradiction,
        has_depth=any(frame.depth is not None for frame in seen),
        has_pose=any(frame.T_map_camera is not None for frame in seen),
        looked_at=len(seen),
        remarks=(
            *(note for note in reader.report.notes if not note.startswith(_FOUND)),
            *(f"{count:,} left out: {why}" for why, count in reader.report.skipped.items()),
        ),
    )
