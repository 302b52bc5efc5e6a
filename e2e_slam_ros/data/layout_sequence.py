"""Base of the readers of layouts with image files."""

from __future__ import annotations

from collections.abc import Sequence

from e2e_slam_ros.data.calibration import Calibration
from e2e_slam_ros.data.folder_sequence import FolderSequence, FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import keep_complete
from e2e_slam_ros.data.layout import Wanted


class LayoutSequence(FolderSequence):
    """The image files of one layout, without the frames that lack what is wanted.

    A subclass finds files, calibration and poses by its layout.

    Raises:
        DataError: no frame is left, or the calibration has another image size.

    >>> from e2e_slam_ros.data.kitti import KittiReader
    >>> issubclass(KittiReader, LayoutSequence)
    True
    """

    def __init__(
        self,
        name: str,
        files: Sequence[FrameFiles],
        calibration: Calibration,
        report: ReaderReport,
        wanted: Wanted,
    ) -> None:
        required = wanted.require_depth, wanted.require_pose
        kept = keep_complete(name, files, *required, report)
        super().__init__(name, kept, calibration, report, wanted.require_depth)
