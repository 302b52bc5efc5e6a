"""What a recording holds: layout, frames, rates, gaps, cameras, depth, poses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.data.bag_file import BagFile
from e2e_slam_ros.data.frame import FrameReader, ReaderReport
from e2e_slam_ros.data.frame_parts import PartsSequence
from e2e_slam_ros.data.layout import Layout
from e2e_slam_ros.geometry.camera import PinholeCamera

# A step of so many usual steps is a gap; the largest are told.
_GAP_STEPS, _TOLD = 3.0, 5
_LOOKED_AT = 5


@dataclass(frozen=True)
class StreamCount:
    """A topic, or the files of one kind.

    >>> StreamCount("/camera/image_raw", "sensor_msgs/msg/Image", 300, 30.0).rate_hz
    30.0
    """

    name: str
    kind: str
    count: int
    rate_hz: float | None = None


@dataclass(frozen=True)
class TimeGap:
    """A part of the recording without images: seconds from its first image, and length.

    >>> TimeGap(2.0, 0.5).length_s
    0.5
    """

    start_s: float
    length_s: float


@dataclass(frozen=True)
class Inspection:
    """What a recording holds and which of it a run uses.

    Attributes:
        layout, files: word of ``--dataset``, and its files in words.
        frames, with_depth, with_pose: number of frames, and of those with a part.
        seconds, rate_hz: from the first image to the last; the usual rate.
        gaps, gap_count: the longest gaps between images, and the number of all.
        image, depth: encodings in words; the depth with its unit.
        depth_m: smallest, median and largest depth in a few frames, metres.
        camera: intrinsics of the frames, with the view in degrees.
        moved_m: length of the path of the poses.
        notes: what was chosen and left out, and why.
        left_out: number of left-out entries for each reason.

    >>> Inspection("scene", "tum", "lists", frames=2, seconds=0.1).to_json()["frames"]
    2
    """

    name: str
    layout: str
    files: str
    frames: int = 0
    with_depth: int = 0
    with_pose: int = 0
    seconds: float = 0.0
    rate_hz: float | None = None
    gaps: tuple[TimeGap, ...] = ()
    gap_count: int = 0
    image: str = ""
    depth: str = ""
    depth_m: tuple[float, float, float] | None = None
    camera: dict[str, Any] | None = None
    moved_m: float | None = None
    streams: tuple[StreamCount, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: dict[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def streams_of(path: Path, layout: Layout, options: InputOptions) -> tuple[StreamCount, ...]:
    """Return the topics of a recording, with the mean rate of each; nothing for a folder.

    Raises:
        DataError: the recording cannot be opened.
    """
    if layout.name != "bag":
        return ()
    bag = BagFile(path, options.clock, ReaderReport())
    try:
        seconds = bag.seconds
        return tuple(
            StreamCount(t.name, t.type, t.count, _mean_rate(t.count, seconds))
            for t in bag.topics()
        )
    finally:
        bag.close()


def _mean_rate(count: int, seconds: float) -> float | None:
    return round((count - 1) / seconds, 2) if seconds > 0 and count > 1 else None


def inspect_reader(
    reader: FrameReader, layout: Layout, streams: Sequence[StreamCount] = ()
) -> Inspection:
    """Return the contents of an open recording. A few frames are decoded."""
    parts = reader.parts if isinstance(reader, PartsSequence) else ()
    stamps = np.array([part.stamp_ns for part in parts], dtype=np.int64)
    poses = [part.T_map_camera for part in parts if part.T_map_camera is not None]
    with_depth = sum(part.depth is not None for part in parts)
    gaps, count, rate = _gaps(stamps)
    camera, depths = _looked_at(reader)
    words = (
        (reader.image_words, reader.depth_words)
        if isinstance(reader, PartsSequence)
        else ("",) * 2
    )
    own = (
        StreamCount("images", "image", len(parts), rate),
        StreamCount("depth", "depth", with_depth, None),
        StreamCount("poses", "pose", len(poses), None),
    )
    return Inspection(
        reader.name,
        layout.name,
        layout.what,
        len(parts),
        with_depth,
        len(poses),
        round(float(stamps[-1] - stamps[0]) * 1e-9, 6) if len(stamps) else 0.0,
        rate,
        gaps,
        count,
        *words,
        depths,
        None if camera is None else _camera(camera),
        _path_length(poses),
        tuple(streams) or own,
        tuple(reader.report.notes),
        dict(reader.report.skipped),
    )


def _gaps(stamps: npt.NDArray[np.int64]) -> tuple[tuple[TimeGap, ...], int, float | None]:
    """Return the longest gaps in time order, the number of all, and the usual rate."""
    steps = np.diff(stamps) * 1e-9
    if not steps.size:
        return (), 0, None
    usual = float(np.median(steps))
    places = np.flatnonzero(steps > _GAP_STEPS * usual)
    longest = np.sort(places[np.argsort(-steps[places])][:_TOLD])
    told = tuple(
        TimeGap(round(float(stamps[i] - stamps[0]) * 1e-9, 3), round(float(steps[i]), 3))
        for i in longest
    )
    return told, len(places), round(1.0 / usual, 3) if usual > 0 else None


def _looked_at(
    reader: FrameReader,
) -> tuple[PinholeCamera | None, tuple[float, float, float] | None]:
    """Return the camera, and the smallest, median and largest depth of a few frames."""
    camera, values = None, []
    for index in np.unique(np.linspace(0, len(reader) - 1, _LOOKED_AT).astype(int)):
        try:
            frame = reader[int(index)]
        except E2ESlamError:
            continue
        camera = frame.camera
        if frame.depth is not None:
            values.append(frame.depth[frame.depth > 0].ravel())
    known = np.concatenate(values) if values else np.zeros(0)
    if not known.size:
        return camera, None
    found = float(known.min()), float(np.median(known)), float(known.max())
    return camera, (round(found[0], 4), round(found[1], 4), round(found[2], 4))


def _camera(camera: PinholeCamera) -> dict[str, Any]:
    values = asdict(camera)
    for side, focal in (("width", "fx"), ("height", "fy")):
        angle = 2.0 * math.degrees(math.atan2(values[side], 2.0 * values[focal]))
        values[f"view_{side}_deg"] = round(angle, 1)
    return values


def _path_length(poses: Sequence[npt.NDArray[np.float64]]) -> float | None:
    if not poses:
        return None
    places = np.array([pose[:3, 3] for pose in poses])
    return round(float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum()), 3)
