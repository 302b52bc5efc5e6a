"""A small folder of KITTI's raw data in the published layout, with points at known pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

DATE, DRIVE = "2011_09_26", "2011_09_26_drive_0002_sync"
SIZE = (1242, 375)
# Made up, of the size of the real ones.
P_RECT = np.array([[720.0, 0, 610.0, 45.0], [0, 720.0, 173.0, 0.2], [0, 0, 1, 0.003]])
T_CAMERA_SCANNER = (0.0, -0.08, -0.27)
# Column, row (counted from 0) and metres ahead of the scanner.
POINTS = ((600, 200, 10.0), (600, 200, 14.0), (700, 250, 20.0), (300, 300, 5.0), (620, 100, 30.0))

_CAMERAS = """calib_time: 09-Jan-2012 13:57:47
corner_dist: 9.950000e-02
S_00: 1.392000e+03 5.120000e+02
K_00: 9.8e+02 0 6.9e+02 0 9.7e+02 2.4e+02 0 0 1
D_00: -3.7e-01 2.0e-01 1.3e-03 1.8e-03 -7.2e-02
R_rect_00: 1 0 0 0 1 0 0 0 1
S_rect_02: 1.242000e+03 3.750000e+02
P_rect_02: {projection}
S_rect_03: 1.242000e+03 3.750000e+02
P_rect_03: {projection}
"""
_SCANNER = """calib_time: 15-Mar-2012 11:37:16
R: 0 -1 0 0 0 -1 1 0 0
T: {shift}
delta_f: 0.000000e+00 0.000000e+00
delta_c: 0.000000e+00 0.000000e+00
"""


def scan(points: tuple[tuple[int, int, float], ...] = POINTS) -> npt.NDArray[Any]:
    """Rows of a scan whose points fall on these pixels, and one point behind the scanner."""
    rows = []
    for column, row, ahead in points:
        # P (X, Y, Z, 1) = w (column + 1, row + 1, 1): KITTI counts pixels from 1.
        z = ahead + T_CAMERA_SCANNER[2]
        w = z + P_RECT[2, 3]
        x = (w * (column + 1) - P_RECT[0, 2] * z - P_RECT[0, 3]) / P_RECT[0, 0]
        y = (w * (row + 1) - P_RECT[1, 2] * z - P_RECT[1, 3]) / P_RECT[1, 1]
        # Camera: right, down, forward. Scanner: forward, left, up.
        rows.append((ahead, -(x - T_CAMERA_SCANNER[0]), -(y - T_CAMERA_SCANNER[1]), 0.5))
    rows.append((-4.0, 0.0, 0.0, 0.5))
    return np.array(rows, np.float32)


def kitti_raw(folder: Path, numbers: tuple[int, ...] = (69, 70)) -> Path:
    """Write the folder; return the list of its images in the form of the published one."""
    day = folder / DATE
    drive = day / DRIVE
    for part in ("image_02/data", "velodyne_points/data"):
        (drive / part).mkdir(parents=True)
    projection = " ".join(f"{value:.6e}" for value in P_RECT.reshape(-1))
    (day / "calib_cam_to_cam.txt").write_text(_CAMERAS.format(projection=projection))
    shift = " ".join(f"{value:.6e}" for value in T_CAMERA_SCANNER)
    (day / "calib_velo_to_cam.txt").write_text(_SCANNER.format(shift=shift))
    lines = []
    for number in numbers:
        Image.new("RGB", SIZE, (90, 100, 110)).save(
            drive / "image_02" / "data" / f"{number:010d}.png"
        )
        scan().tofile(drive / "velodyne_points" / "data" / f"{number:010d}.bin")
        lines.append(f"{DATE}/{DRIVE}/image_02/data/{number:010d}.png")
    path = folder / "eigen_test_files.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def annotate(folder: Path, number: int = 69) -> None:
    """Add annotated depth of one image: 12.5 m at column 640, row 220."""
    inner = folder / "data_depth_annotated" / "val" / DRIVE / "proj_depth/groundtruth/image_02"
    inner.mkdir(parents=True)
    counts = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    counts[220, 640] = 3200
    Image.fromarray(counts).save(inner / f"{number:010d}.png")
