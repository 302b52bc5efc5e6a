"""Sequences with colour and depth in image files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import option
from e2e_slam_ros.data.calibration import Calibration
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.frame_parts import FrameParts, PartsSequence
from e2e_slam_ros.data.images import image_size, read_color, read_depth, rectified
from e2e_slam_ros.data.stream import stream_of_file

FrameFiles: TypeAlias = FrameParts[Path]


class FolderSequence(PartsSequence[Path]):
    """A sequence of image files. Each image is decoded on demand.

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
        super().__init__(name, report, require_depth)
        self._parts = list(files)
        self._calibration, self._camera = calibration, calibration.camera
        self._check_calibration()

    @property
    def image_words(self) -> str:
        """The images as they are stored, in words."""
        path = self._parts[0].image
        stream = stream_of_file(path.parent.name, path)
        return "" if stream is None else stream.stored_words

    @property
    def depth_words(self) -> str:
        """The depth as it is stored, with its unit, in words; "" if there is none."""
        path = next((part.depth for part in self._parts if part.depth is not None), None)
        stream = None if path is None else stream_of_file(path.parent.name, path)
        if path is None:
            return ""
        how = "" if stream is None else f"{stream.stored_words}, "
        return f"{how}{self._calibration.depth_factor:g} counts a metre"

    def _decode_image(self, index: int, source: Path) -> tuple[npt.NDArray[np.uint8], str]:
        what = f"image {source}"
        image = read_color(source, str(source))
        lens = self._calibration.lens
        return (image if lens is None else rectified(image, lens, what)), what

    def _decode_depth(self, index: int, source: Path) -> tuple[npt.NDArray[np.float32], str]:
        factor = self._calibration.depth_factor
        depth, lens = read_depth(source, str(source), factor), self._calibration.lens
        is_remapped = lens is not None and depth.shape == (lens.height, lens.width)
        if lens is not None and lens.rectifier is not None and is_remapped:
            depth = lens.rectifier.depth(depth)
        return depth, f"depth image {source}"

    def _check_calibration(self) -> None:
        """Raise early if the calibration's size fits none of a few images.

        Only headers are read.
        """
        camera, count = self._camera, len(self)
        sizes = [image_size(self._parts[i].image) for i in (0, count // 2, count - 1)]
        known = [size for size in sizes if size is not None]
        if known and (camera.width, camera.height) not in known:
            raise DataError.from_parts(
                f"images of {self.name}",
                f"{known[0][0]}x{known[0][1]} pixels",
                f"{camera.width}x{camera.height}, the size of {self._calibration.source}",
                "put the calibration of these images into calibration.yaml beside the data, or "
                f"give {option('intrinsics', 'FILE')}",
            )
