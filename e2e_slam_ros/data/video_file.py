"""A video file with a calibration beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.calibration import CALIBRATION_FILES, read_calibration
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import FrameParts, PartsSequence, keep_complete
from e2e_slam_ros.data.images import check_size, rectified
from e2e_slam_ros.data.layout import Wanted, layout_calibration
from e2e_slam_ros.data.pose_files import poses_at
from e2e_slam_ros.data.trajectory_file import read_tum_trajectory
from e2e_slam_ros.data.video_frames import VideoFrames
from e2e_slam_ros.geometry.lens_model import LensModel

# Time 0 means "no time" in ROS.
_FIRST_NS = 10**9


class VideoReader(PartsSequence[int]):
    """A video file: its images, and ``NAME.yaml`` or another calibration beside it.

    Frame times are those of the file, from 1 s. Poses come from ``NAME.txt`` beside it, if it
    is there (stamp tx ty tz qx qy qz qw, with the same times). There is no depth.

    Raises:
        DataError: PyAV is not installed, no video, or no calibration.

    >>> try:
    ...     VideoReader(Path("/nowhere.mp4"))
    ... except DataError as refusal:
    ...     print(str(refusal).partition(":")[0])
    video /nowhere.mp4
    """

    def __init__(self, path: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        super().__init__(path.stem, report, wanted.require_depth)
        self._path = path
        self._video = VideoFrames(path)
        try:
            self._use(wanted, report)
        except BaseException:
            self._video.close()
            raise

    @property
    def image_words(self) -> str:
        """The images as they are stored, in words."""
        return f"video, {self._video.codec}"

    def close(self) -> None:
        """Let go of the file. Frames can no longer be read."""
        self._video.close()

    def _use(self, wanted: Wanted, report: ReaderReport) -> None:
        report.listed = len(self._video)
        first = self._video.image(0)
        size = first.shape[1], first.shape[0]
        beside = _calibration_file(self._path)
        calibration = layout_calibration(
            wanted,
            lambda: _lens(self._path, beside),
            1000.0,
            str(beside),
            size,
            report,
        )
        self._camera = calibration.camera
        self._lens = calibration.lens or LensModel.of_pinhole(calibration.camera)
        check_size(first.shape, self._lens, f"images of {self._path}")
        report.note(f"{self._path.name}: {self._video.codec}, {size[0]}x{size[1]}, no depth")
        stamps = [stamp + _FIRST_NS for stamp in self._video.stamps_ns]
        entries = [
            FrameParts(stamp, number, None, pose)
            for number, (stamp, pose) in enumerate(
                zip(stamps, self._poses(stamps, wanted, report), strict=True)
            )
        ]
        self._parts = keep_complete(
            self.name, entries, wanted.require_depth, wanted.require_pose, report
        )

    def _poses(
        self, stamps: list[int], wanted: Wanted, report: ReaderReport
    ) -> list[npt.NDArray[np.float64] | None]:
        path = self._path.with_suffix(".txt")
        if not path.is_file():
            report.note(f"no {path.name}: the frames have no pose")
            return [None] * len(stamps)
        track = read_tum_trajectory(path, report).track()
        return poses_at(track, stamps, np.eye(4), wanted.options, longest_ns=None)

    def _decode_image(self, index: int, source: int) -> tuple[npt.NDArray[np.uint8], str]:
        what = f"frame {source} of {self._path}"
        return rectified(self._video.image(source), self._lens, what), what

    def _decode_depth(self, index: int, source: int) -> tuple[npt.NDArray[np.float32], str]:
        raise DataError.from_parts(f"{self._path}", "no depth", "images", "use its images")


def _calibration_file(path: Path) -> Path | None:
    own = [path.with_suffix(suffix) for suffix in (".yaml", ".yml")]
    places = [*own, *(path.parent / name for name in CALIBRATION_FILES)]
    return next((place for place in places if place.is_file()), None)


def _lens(path: Path, beside: Path | None) -> LensModel:
    if beside is None:
        raise DataError.from_parts(
            f"calibration of {path}",
            f"no {path.stem}.yaml and no {CALIBRATION_FILES[0]} beside it",
            "the camera's calibration",
            f"copy it there, or give {option('intrinsics', 'fx,fy,cx,cy')}",
        )
    calibration = read_calibration(beside)
    return calibration.lens or LensModel.of_pinhole(calibration.camera)
