"""Folders of the app Stray Scanner: a video, depth of a phone's LiDAR, and ARKit's poses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import FrameParts, PartsSequence, keep_complete
from e2e_slam_ros.data.images import (
    check_size,
    enlarged,
    read_color,
    read_depth,
    rectified,
)
from e2e_slam_ros.data.layout import Wanted, layout_calibration, missing_part
from e2e_slam_ros.data.pose_files import Matrix, camera_pose, numbers_of
from e2e_slam_ros.data.pose_track import pose_matrix
from e2e_slam_ros.data.stamp import parse_stamp_ns
from e2e_slam_ros.data.text_list import read_text
from e2e_slam_ros.data.video_frames import VideoFrames
from e2e_slam_ros.geometry.lens_model import LensModel

_VIDEO, _POSES, _CAMERA = "rgb.mp4", "odometry.csv", "camera_matrix.csv"
# ARKit's confidence is 0, 1 or 2. The app's own tools use depth from 1 on.
_LEAST = 1


@dataclass(frozen=True, eq=False)
class _Line:
    """A line of the odometry: number of the video's frame, stamp and pose."""

    number: int
    stamp_ns: int
    pose: Matrix | None


class StrayScannerReader(PartsSequence[int | Path]):
    """A Stray Scanner folder: ``rgb.mp4``, ``depth/``, ``confidence/``, ``odometry.csv``.

    ``odometry.csv`` has ``timestamp, frame, x, y, z, qx, qy, qz, qw`` for each frame of the video:
    camera-to-world with x right, y down, z forward. ``camera_matrix.csv`` is for the video's size.
    Depth is in millimetres and smaller than the images, of the same view; each image pixel gets
    the depth of the pixel that covers it. Depth of confidence 0 is left out.

    Raises:
        DataError: not such a folder, PyAV is not installed, or no frame is left.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         StrayScannerReader(Path(folder))
    ...     except DataError as refusal:
    ...         print("refused:", "odometry.csv" in str(refusal))
    refused: True
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        super().__init__(folder.resolve().name, report, wanted.require_depth)
        self._folder = folder
        if not is_stray_scanner_folder(folder):
            raise missing_part(
                folder, f"no {_VIDEO} with {_POSES}", f"{_VIDEO}, {_POSES}, {_CAMERA}, depth/"
            )
        lines = _lines(folder / _POSES, report)
        # The camera matrix is for the images as they are stored.
        self._video = VideoFrames(folder / _VIDEO, turned=False)
        try:
            self._use(lines, wanted, report)
        except BaseException:
            self._video.close()
            raise

    @property
    def image_words(self) -> str:
        """The images as they are stored, in words."""
        return f"video, {self._video.codec}"

    @property
    def depth_words(self) -> str:
        """The depth as it is stored, with its unit, in words."""
        return f"16UC1 as png, smaller than the images, {self._factor:g} counts a metre"

    def close(self) -> None:
        """Let go of the video. Frames can no longer be read."""
        self._video.close()

    def _use(self, lines: list[_Line], wanted: Wanted, report: ReaderReport) -> None:
        report.listed = len(lines)
        first = self._video.image(0)
        size = first.shape[1], first.shape[0]
        calibration = layout_calibration(
            wanted, lambda: _lens(self._folder, size), 1000.0, _CAMERA, size, report
        )
        self._factor = calibration.depth_factor
        self._camera = calibration.camera
        self._lens = calibration.lens or LensModel.of_pinhole(calibration.camera)
        check_size(first.shape, self._lens, f"images of {self._folder / _VIDEO}")
        entries: list[FrameParts[int | Path]] = []
        for line in lines:
            if not 0 <= line.number < len(self._video):
                report.skip("line of a frame that the video does not have")
                continue
            depth = self._folder / "depth" / f"{line.number:06d}.png"
            known = depth if depth.is_file() else None
            if known is None:
                report.skip("missing depth image")
            pose = camera_pose(line.pose, np.eye(4), wanted.options)
            entries.append(FrameParts(line.stamp_ns, line.number, known, pose))
        report.note(f"depth of confidence below {_LEAST} is left out")
        self._parts = keep_complete(
            self.name, entries, wanted.require_depth, wanted.require_pose, report
        )

    def _decode_image(self, index: int, source: int | Path) -> tuple[npt.NDArray[np.uint8], str]:
        assert isinstance(source, int)  # images are in the video
        what = f"frame {source} of {self._folder / _VIDEO}"
        return rectified(self._video.image(source), self._lens, what), what

    def _decode_depth(self, index: int, source: int | Path) -> tuple[npt.NDArray[np.float32], str]:
        assert isinstance(source, Path)  # depth is in files
        depth = read_depth(source, str(source), self._factor)
        path = self._folder / "confidence" / source.name
        if path.is_file():
            confidence = read_color(path, str(path))[..., 0]
            if confidence.shape == depth.shape:
                depth = np.where(confidence >= _LEAST, depth, np.float32(0.0))
        found = enlarged(depth, self._lens, f"depth image {source}")
        rectifier = self._lens.rectifier
        return found if rectifier is None else rectifier.depth(found), f"depth image {source}"


def is_stray_scanner_folder(path: Path) -> bool:
    """Return whether a folder holds a recording of Stray Scanner."""
    return (path / _VIDEO).is_file() and (path / _POSES).is_file()


def _lines(path: Path, report: ReaderReport) -> list[_Line]:
    found: dict[int, _Line] = {}
    for line in read_text(path).splitlines():
        words = [word.strip() for word in line.split(",")]
        if not any(words) or words[0].lower().startswith("timestamp"):
            continue
        try:
            stamp_ns, number = parse_stamp_ns(words[0]), int(words[1])
            values = [float(word) for word in words[2:9]]
            if len(values) < 7 or stamp_ns <= 0:
                raise ValueError(line)
        except (ValueError, IndexError):
            report.skip(f"malformed line in {path.name}")
            continue
        pose = None
        try:
            pose = pose_matrix(values[:3], values[3:])
        except ValueError:
            report.skip(f"pose not finite or zero quaternion in {path.name}")
        if stamp_ns in found:
            report.skip(f"repeated stamp in {path.name}")
            continue
        found[stamp_ns] = _Line(number, stamp_ns, pose)
    if not found:
        raise DataError.from_parts(
            f"poses {path}",
            "no line that can be read",
            "timestamp, frame, x, y, z, qx, qy, qz, qw",
            "export the recording again",
        )
    return [found[stamp] for stamp in sorted(found)]


def _lens(folder: Path, size: tuple[int, int]) -> LensModel:
    path = folder / _CAMERA
    rows = numbers_of(path, "intrinsics") if path.is_file() else []
    if [len(row) for row in rows[:3]] != [3, 3, 3]:
        raise missing_part(
            folder,
            f"no 3x3 matrix in {_CAMERA}",
            "the camera's matrix",
            f"export it again, or give {option('intrinsics', 'fx,fy,cx,cy')}",
        )
    return LensModel(*size, rows[0][0], rows[1][1], rows[0][2], rows[1][2])
