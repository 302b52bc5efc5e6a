"""Frames whose colour and depth are image files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.calibration import Calibration
from e2e_slam_ros.data.frame import Frame, ReaderReport
from e2e_slam_ros.data.images import check_size, image_size, read_color, read_depth
from e2e_slam_ros.data.sequence import SequenceReader


@dataclass(frozen=True, eq=False)
class FrameFiles:
    """Where one frame's parts are.

    Attributes:
        stamp_ns: image time in nanoseconds.
        image: colour image file.
        depth: depth image file; or None.
        T_map_camera: (4, 4) float64; or None.
    """

    stamp_ns: int
    image: Path
    depth: Path | None = None
    T_map_camera: npt.NDArray[np.float64] | None = None


class FolderSequence(SequenceReader):
    """A sequence of image files, decoded when asked for.

    A depth image that cannot be read, or is not of the colour image's size, is counted and the
    frame comes without depth; with ``require_depth`` that frame is refused.

    Args:
        name: short name of the sequence.
        files: its frames in time order.
        calibration: camera and depth factor of all of them.
        report: where to count what is left out.
        require_depth: refuse frames without readable depth.

    Raises:
        DataError: no frame is left, or the calibration is of another image size.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[FrameFiles],
        calibration: Calibration,
        report: ReaderReport,
        require_depth: bool,
    ) -> None:
        super().__init__(name, report)
        self._files = list(files)
        self._calibration = calibration
        self._require_depth = require_depth
        self._check_calibration()

    def __len__(self) -> int:
        return len(self._files)

    def _read(self, index: int) -> Frame:
        files, camera = self._files[index], self._calibration.camera
        image = read_color(files.image, str(files.image))
        check_size(image.shape, camera, f"image {files.image}")
        pose = files.T_map_camera
        return Frame(
            index=index,
            stamp_ns=files.stamp_ns,
            image=image,
            camera=camera,
            depth=self._read_depth(index),
            T_map_camera=None if pose is None else pose.copy(),
        )

    def _read_depth(self, index: int) -> npt.NDArray[np.float32] | None:
        path = self._files[index].depth
        if path is None:
            return None
        try:
            depth = read_depth(path, str(path), self._calibration.depth_factor)
            check_size(depth.shape, self._calibration.camera, f"depth image {path}")
        except DataError as problem:
            if self._require_depth:
                raise
            self._count_once("unreadable depth image", index, str(problem))
            return None
        return depth

    def _check_calibration(self) -> None:
        """Refuse early when the calibration fits none of a few images (headers only)."""
        camera = self._calibration.camera
        count = len(self._files)
        sizes = [image_size(self._files[i].image) for i in (0, count // 2, count - 1)]
        known = [size for size in sizes if size is not None]
        if known and (camera.width, camera.height) not in known:
            raise DataError.from_parts(
                f"images of {self.name}",
                f"{known[0][0]}x{known[0][1]} pixels",
                f"{camera.width}x{camera.height}, the size of {self._calibration.source}",
                "put the calibration of these images into calibration.yaml beside the data",
            )
