"""Scans of KITTI's laser scanner as depth images, as the Eigen protocol projects them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.pose_files import Matrix
from e2e_slam_ros.data.text_list import read_text

_CAMERAS, _SCANNER = "calib_cam_to_cam.txt", "calib_velo_to_cam.txt"


@dataclass(frozen=True, eq=False)
class KittiCalibration:
    """Calibration of one camera on one date.

    Attributes:
        rectified: (3, 4), ``P_rect`` of the camera.
        projection: (3, 4) from the scanner's points to pixels.
        size: width and height of its images.
        source: its file.

    >>> eye = np.eye(3, 4)
    >>> KittiCalibration(eye, eye, (1242, 375), "calib_cam_to_cam.txt").size
    (1242, 375)
    """

    rectified: Matrix
    projection: Matrix
    size: tuple[int, int]
    source: str

    @staticmethod
    def read(folder: Path, camera: int) -> KittiCalibration:
        """Return the calibration of camera 2 or 3 of a date's folder.

        Raises:
            DataError: a file or an entry is missing, or not what it should be.
        """
        cameras, scanner = folder / _CAMERAS, folder / _SCANNER
        entries, mount = _entries(cameras), _entries(scanner)
        rectified = _matrix(entries, f"P_rect_0{camera}", (3, 4), cameras)
        width, height = _matrix(entries, f"S_rect_0{camera}", (2,), cameras)
        rotation = np.eye(4)
        rotation[:3, :3] = _matrix(entries, "R_rect_00", (3, 3), cameras)
        T_camera_scanner = np.eye(4)
        T_camera_scanner[:3, :3] = _matrix(mount, "R", (3, 3), scanner)
        T_camera_scanner[:3, 3] = _matrix(mount, "T", (3,), scanner)
        projection = rectified @ rotation @ T_camera_scanner
        return KittiCalibration(rectified, projection, (int(width), int(height)), str(cameras))

    def check_size(self, size: tuple[int, int]) -> None:
        """Raise `DataError` where images are of another (width, height)."""
        if size != self.size:
            raise DataError.from_parts(
                "image of KITTI",
                f"{size[0]}x{size[1]} pixels",
                f"{self.size[0]}x{self.size[1]}, the size in {self.source}",
                "use the images as they are published",
            )


def read_scan(path: Path) -> npt.NDArray[np.float32]:
    """Return the points (N, 3) of a scan: forward, left, up, metres.

    Raises:
        DataError: it cannot be read, or holds no rows of four numbers.
    """
    try:
        values = np.fromfile(path, np.float32)
    except OSError as problem:
        raise DataError.from_parts(
            f"scan {path}", problem, "a readable file", "check its permissions"
        ) from problem
    if values.size == 0 or values.size % 4:
        raise DataError.from_parts(
            f"scan {path}",
            f"{values.size} numbers",
            "rows of four 32-bit numbers",
            "copy the file again: it is not whole",
        )
    points: npt.NDArray[np.float32] = values.reshape(-1, 4)[:, :3]
    return points


def scan_depth(
    points: npt.NDArray[np.float32], projection: Matrix, size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Return the depth (H, W) of a scan, 0 where there is none.

    As published with Eigen's split: points in front of the scanner count, a pixel is the rounded
    position less one (KITTI counts pixels from 1), the nearest point of a pixel wins, and its
    depth is its distance ahead of the scanner, which is 27 cm behind the cameras.

    Args:
        points: (N, 3), metres: forward, left, up.
        projection: (3, 4), see `KittiCalibration`.
        size: width and height.

    >>> ahead = np.array([[5.0, 0, 0], [4.0, 0, 0], [-1.0, 0, 0]], np.float32)
    >>> across = np.array([[2.0, -8, 0, 0], [1.0, 0, -8, 0], [1.0, 0, 0, 0]])
    >>> scan_depth(ahead, across, (4, 3))
    array([[0., 4., 0., 0.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.]], dtype=float32)
    """
    width, height = size
    points = points[np.isfinite(points).all(axis=1) & (points[:, 0] >= 0)]
    at = points.astype(np.float64) @ projection[:, :3].T + projection[:, 3]
    ahead = at[:, 2] > 0
    points, at = points[ahead], at[ahead]
    column, row = np.rint(at[:, :2] / at[:, 2:]).T - 1
    seen = (column >= 0) & (row >= 0) & (column < width) & (row < height) & (points[:, 0] > 0)
    place = (row[seen] * width + column[seen]).astype(np.int64)
    depth = np.full(height * width, np.inf, np.float32)
    np.minimum.at(depth, place, points[seen, 0])
    depth[np.isinf(depth)] = 0.0
    return depth.reshape(height, width)


def _entries(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in read_text(path).splitlines())
    return {name.strip(): rest for name, _, rest in lines}


def _matrix(entries: dict[str, str], name: str, shape: tuple[int, ...], path: Path) -> Matrix:
    text = entries.get(name, "")
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError:
        values = np.zeros(0)
    if values.size != int(np.prod(shape)) or not np.isfinite(values).all():
        raise DataError.from_parts(
            f"calibration {path}",
            f"{name}: {text.strip()!r}" if text else f"no {name}",
            f"{int(np.prod(shape))} numbers after '{name}:'",
            "copy the calibration of the date as it is published",
        )
    return values.reshape(shape)
