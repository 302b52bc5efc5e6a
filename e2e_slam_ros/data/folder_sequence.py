"""Sequences with colour and depth in image files."""

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
    """Files and pose of one frame.

    Attributes:
        stamp_ns: image time in nanoseconds.
        image: colour image file.
        depth: depth image file; or None.
        T_map_camera: (4, 4) float64; or None.

    >>> FrameFiles(1_000_000_000, Path("rgb/1.000000.png")).depth is None
    True
    """

    stamp_ns: int
    image: Path
    depth: Path | None = None
    T_map_camera: npt.NDArray[np.float64] | None = None


class FolderSequence(SequenceReader):
    """A sequence of image files. Each image is decoded on demand.

    A depth image that cannot be read, or has another size than the colour image, is counted. The
    frame then comes without depth. With ``require_depth`` the frame is refused instead.

    Args:
        files: frames in time order.
        calibration: camera and depth factor of all frames.
        require_depth: refuse frames without readable depth.

    Raises:
        DataError: no frame is left, or the calibration has another image size.

    >>> import tempfile
    >>> from PIL import Image
    >>> from e2e_slam_ros.geometry.camera import PinholeCamera
    >>> calibration = Calibration(PinholeCamera(4, 3, 4.0, 4.0, 1.5, 1.0), 5000.0, "example")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "0.png"
    ...     Image.new("RGB", (4, 3)).save(file)
    ...     files = [FrameFiles(0, file)]
    ...     FolderSequence("tiny", files, calibration, ReaderReport(), False)[0].image.shape
    (3, 4, 3)
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

        def read() -> npt.NDArray[np.float32]:
            depth = read_depth(path, str(path), self._calibration.depth_factor)
            check_size(depth.shape, self._calibration.camera, f"depth image {path}")
            return depth

        return self._depth_or_none(index, self._require_depth, read)

    def _check_calibration(self) -> None:
        """Raise early if the calibration's size fits none of a few images.

        Only headers are read.
        """
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
