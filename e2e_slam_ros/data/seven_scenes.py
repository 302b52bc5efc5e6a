"""Folders of Microsoft's 7-Scenes: numbered colour, depth and pose files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from e2e_slam_ros.data.folder_sequence import FrameFiles
from e2e_slam_ros.data.frame import ReaderReport
from e2e_slam_ros.data.images import image_size, read_counts
from e2e_slam_ros.data.layout import (
    Wanted,
    layout_calibration,
    missing_part,
    natural,
    note_no_times,
    number_of,
    stamp_of_number,
)
from e2e_slam_ros.data.layout_sequence import LayoutSequence
from e2e_slam_ros.data.pose_files import camera_pose, pose_of_file
from e2e_slam_ros.geometry.lens_model import LensModel

_SIZE, _CENTRE = (640, 480), (320.0, 240.0)
# The page of the data set gives 585 for depth. Kinect's colour camera has 525.
_DEPTH_FOCAL, _COLOUR_FOCAL = 585.0, 525.0
_INVALID = 65535
_COLOUR = "frame-*.color.png"


class SevenScenesReader(LayoutSequence):
    """One sequence of 7-Scenes: ``frame-000000.color.png``, ``.depth.png`` and ``.pose.txt``.

    Depth is in millimetres. It is not registered to colour: the depth camera has a focal length
    of 585 pixels, the colour camera of 525. Depth is resampled to the colour camera's pixels.
    The 25 mm between the two cameras are not published, and are left out.

    Raises:
        DataError: not such a folder.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for part, mode in (("color", "RGB"), ("depth", "I;16")):
    ...         file = Path(folder) / f"frame-000000.{part}.png"
    ...         Image.new(mode, (640, 480)).save(file)
    ...     SevenScenesReader(Path(folder))[0].camera.fx
    525.0
    """

    def __init__(self, folder: Path, wanted: Wanted | None = None) -> None:
        wanted = wanted or Wanted()
        report = ReaderReport()
        images = sorted(folder.glob(_COLOUR), key=lambda p: natural(p.name))
        if not images:
            raise missing_part(
                folder, f"no {_COLOUR}", "frame-000000.color.png with its depth and pose files"
            )
        report.listed = len(images)
        note_no_times(report)
        files = []
        for image in images:
            stem = image.name.partition(".")[0]
            depth = folder / f"{stem}.depth.png"
            if not depth.is_file():
                report.skip("missing depth image")
            pose = pose_of_file(folder / f"{stem}.pose.txt", report)
            files.append(
                FrameFiles(
                    stamp_of_number(number_of(image) or 0),
                    image,
                    depth if depth.is_file() else None,
                    camera_pose(pose, np.eye(4), wanted.options),
                )
            )
        size = image_size(images[0]) or _SIZE
        calibration = layout_calibration(
            wanted, lambda: _lens(size), 1000.0, "Kinect's colour camera", size, report
        )
        if any(entry.depth is not None for entry in files):
            report.note(
                "depth of 585 pixels focal length is resampled to the colour camera; the 25 mm "
                "between the cameras are not published, and stay"
            )
        name = f"{folder.resolve().parent.name}_{folder.resolve().name}"
        super().__init__(name, files, calibration, report, wanted)

    def _decode_depth(self, index: int, source: Path) -> tuple[npt.NDArray[np.float32], str]:
        counts = read_counts(source, str(source))
        counts[counts == _INVALID] = 0
        depth = counts.astype(np.float32) / np.float32(self._calibration.depth_factor)
        scale = depth.shape[1] / _SIZE[0]
        camera = self._camera
        # Both cameras look along the same axis: z stays, and pixels are scaled about the centre.
        u = (np.arange(camera.width) - camera.cx) / camera.fx * _DEPTH_FOCAL * scale
        v = (np.arange(camera.height) - camera.cy) / camera.fy * _DEPTH_FOCAL * scale
        u, v = u + _CENTRE[0] * scale, v + _CENTRE[1] * scale
        grid = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
        found = cv2.remap(depth, grid[0], grid[1], cv2.INTER_NEAREST)
        return np.asarray(found, dtype=np.float32), f"depth image {source}"


def is_seven_scenes_folder(path: Path) -> bool:
    """Return whether a folder holds frames of 7-Scenes."""
    return path.is_dir() and next(path.glob(_COLOUR), None) is not None


def _lens(size: tuple[int, int]) -> LensModel:
    scale = size[0] / _SIZE[0]
    focal = _COLOUR_FOCAL * scale
    return LensModel(*size, focal, focal, _CENTRE[0] * scale, _CENTRE[1] * scale)
