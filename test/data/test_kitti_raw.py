"""KITTI's raw data by a list: calibration, the scan as depth, annotated depth, bad files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data.kitti_raw_folder import DATE, DRIVE, annotate, kitti_raw
from e2e_slam_ros.config.errors import ConfigError, DataError
from e2e_slam_ros.data.kitti_raw import KittiRawImages


def test_the_scan_falls_on_its_pixels(tmp_path: Path) -> None:
    """The nearer of two points counts; what is behind does not; other pixels stay unknown."""
    reader = KittiRawImages(tmp_path, kitti_raw(tmp_path))
    assert len(reader) == 2
    frame = reader[0]
    assert (frame.camera.width, frame.camera.fx, frame.camera.cy) == (1242, 720.0, 173.0)
    assert frame.depth is not None and frame.T_map_camera is None
    rows, columns = np.nonzero(frame.depth)
    found = {
        (int(c), int(r)): float(frame.depth[r, c]) for r, c in zip(rows, columns, strict=True)
    }
    wanted = {(600, 200): 10.0, (700, 250): 20.0, (300, 300): 5.0, (620, 100): 30.0}
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize(
    "line",
    [
        f"{DATE}/{DRIVE} 0000000069 l",
        f"{DATE}/{DRIVE}/image_02/data/0000000069.jpg {DATE}/{DRIVE}/image_03/data/0000000069.jpg",
    ],
)
def test_the_forms_of_published_lists(tmp_path: Path, line: str) -> None:
    path = kitti_raw(tmp_path)
    path.write_text(line + "\n\n")
    assert KittiRawImages(tmp_path, path)[0].image.shape == (375, 1242, 3)


def test_annotated_depth(tmp_path: Path) -> None:
    path = kitti_raw(tmp_path)
    annotate(tmp_path)
    reader = KittiRawImages(tmp_path, path, "improved")
    first = reader[0].depth
    assert first is not None and first[220, 640] == 12.5 and (first > 0).sum() == 1
    assert reader[1].depth is None


def test_another_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="velodyne, improved"):
        KittiRawImages(tmp_path, kitti_raw(tmp_path), "stereo")


@pytest.mark.parametrize(("text", "words"), [("", "no image"), ("a.png\n", "line 1")])
def test_lists_that_name_nothing_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = kitti_raw(tmp_path)
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        KittiRawImages(tmp_path, path)


def _no_projection(day: Path) -> None:
    path = day / "calib_cam_to_cam.txt"
    path.write_text(path.read_text().replace("P_rect_02", "P_rect_01"))


def _other_size(day: Path) -> None:
    path = day / "calib_cam_to_cam.txt"
    path.write_text(path.read_text().replace("S_rect_02: 1.242000e+03", "S_rect_02: 1.224e+03"))


def _no_mount(day: Path) -> None:
    (day / "calib_velo_to_cam.txt").unlink()


def _no_image(day: Path) -> None:
    (day / DRIVE / "image_02" / "data" / "0000000069.png").unlink()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_no_projection, "no P_rect_02"),
        (_other_size, "1224x375"),
        (_no_mount, "calib_velo_to_cam"),
        (_no_image, "0000000069"),
    ],
)
def test_what_is_damaged_is_named(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    path = kitti_raw(tmp_path)
    damage(tmp_path / DATE)
    with pytest.raises(DataError, match=words):
        KittiRawImages(tmp_path, path)[0]


def test_a_scan_that_is_cut_costs_its_own_image_alone(tmp_path: Path) -> None:
    path = kitti_raw(tmp_path)
    scan = tmp_path / DATE / DRIVE / "velodyne_points" / "data" / "0000000069.bin"
    # 24 numbers are 6 rows; a row and a half are cut off.
    scan.write_bytes(scan.read_bytes()[:-24])
    reader = KittiRawImages(tmp_path, path)
    with pytest.raises(DataError, match="rows of four"):
        reader[0]
    assert reader[1].depth is not None
