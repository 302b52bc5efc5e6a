"""Calibration files of other programs, each with its own conventions."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.data.calibration import lens_of_text, read_calibration
from e2e_slam_ros.geometry.lens_model import LensModel

OST = """image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [500.5, 0., 320.25, 0., 501.5, 240.75, 0., 0., 1.]
distortion_model: {model}
distortion_coefficients:
  rows: 1
  cols: {count}
  data: {data}
rectification_matrix:
  rows: 3
  cols: 3
  data: [1., 0., 0., 0., 1., 0., 0., 0., 1.]
projection_matrix:
  rows: 3
  cols: 4
  data: [400., 0., 300., 0., 0., 400., 200., 0., 0., 0., 1., 0.]
"""
KALIBR = """cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [{coefficients}]
  distortion_model: {model}
  intrinsics: [500.5, 501.5, 320.25, 240.75]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  camera_model: pinhole
  distortion_coeffs: [0, 0, 0, 0]
  distortion_model: radtan
  intrinsics: [1, 1, 1, 1]
  resolution: [64, 48]
"""
EUROC = """%YAML:1.0
sensor_type: camera
comment: VI-Sensor cam0 (MT9M034)
T_BS:
  cols: 4
  rows: 4
  data: [0.0, -1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
rate_hz: 20
resolution: [640, 480]
camera_model: pinhole
intrinsics: [500.5, 501.5, 320.25, 240.75] #fu, fv, cu, cv
distortion_model: radial-tangential
distortion_coefficients: [-0.28, 0.07, 0.0002, 0.00002]
"""


def lens_in(tmp_path: Path, text: str, name: str = "camera.yaml") -> LensModel:
    path = tmp_path / name
    path.write_text(text)
    return lens_of_text(str(path), None)


def assert_inner(lens: LensModel) -> None:
    assert (lens.width, lens.height) == (640, 480)
    inner = (lens.fx, lens.fy, lens.cx, lens.cy)
    assert inner == pytest.approx((500.5, 501.5, 320.25, 240.75))


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("plumb_bob", [-0.3, 0.1, 0.001, -0.001, 0.0]),
        ("rational_polynomial", [0.1, 0.2, 0.001, 0.001, 0.3, 0.4, 0.5, 0.6]),
        ("equidistant", [0.01, 0.02, 0.003, 0.004]),
    ],
)
def test_ost_yaml_of_camera_calibration(tmp_path: Path, model: str, data: list[float]) -> None:
    text = OST.format(model=model, count=len(data), data=data)
    lens = lens_in(tmp_path, text, "ost.yaml")
    assert_inner(lens)  # of the raw image; P belongs to the rectified one
    assert lens.model == model
    expected = tuple(data) if model != "plumb_bob" else tuple(data[:5])
    assert lens.coefficients == pytest.approx(expected)


@pytest.mark.parametrize(
    ("model", "ours"), [("radtan", "plumb_bob"), ("equidistant", "equidistant")]
)
def test_kalibr_camchain(tmp_path: Path, model: str, ours: str) -> None:
    text = KALIBR.format(model=model, coefficients="0.1, -0.05, 0.001, 0.002")
    lens = lens_in(tmp_path, text)
    assert_inner(lens)
    assert lens.model == ours and lens.coefficients == (0.1, -0.05, 0.001, 0.002)


def test_kalibr_omni_is_refused(tmp_path: Path) -> None:
    text = KALIBR.replace("camera_model: pinhole", "camera_model: omni", 1)
    with pytest.raises(DataError, match="omni.*expected"):
        lens_in(tmp_path, text.format(model="radtan", coefficients="0, 0, 0, 0"))


def test_euroc_sensor_yaml(tmp_path: Path) -> None:
    lens = lens_in(tmp_path, EUROC, "sensor.yaml")
    assert_inner(lens)
    assert lens.coefficients == (-0.28, 0.07, 0.0002, 0.00002)


def test_opencv_file_storage(tmp_path: Path) -> None:
    path = tmp_path / "camera.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    matrix = np.array([[500.5, 0, 320.25], [0, 501.5, 240.75], [0, 0, 1.0]])
    storage.write("camera_matrix", matrix)
    storage.write("distortion_coefficients", np.array([[-0.3, 0.1, 0.001, -0.001, 0.02]]))
    storage.release()
    lens = lens_of_text(str(path), None)
    assert_inner(lens)
    assert lens.coefficients == pytest.approx((-0.3, 0.1, 0.001, -0.001, 0.02))


# COLMAP's first pixel has its centre at (0.5, 0.5).
@pytest.mark.parametrize(
    ("line", "model", "coefficients"),
    [
        ("1 PINHOLE 640 480 500.5 501.5 320.75 241.25", "plumb_bob", ()),
        (
            "1 OPENCV 640 480 500.5 501.5 320.75 241.25 0.1 -0.2 0.001 0.002",
            "plumb_bob",
            (0.1, -0.2, 0.001, 0.002),
        ),
        (
            "1 FULL_OPENCV 640 480 500.5 501.5 320.75 241.25 .1 .2 .001 .002 .3 .4 .5 .6",
            "rational_polynomial",
            (0.1, 0.2, 0.001, 0.002, 0.3, 0.4, 0.5, 0.6),
        ),
        (
            "1 OPENCV_FISHEYE 640 480 500.5 501.5 320.75 241.25 0.1 0.2 0.3 0.4",
            "equidistant",
            (0.1, 0.2, 0.3, 0.4),
        ),
    ],
)
def test_colmap_cameras(
    tmp_path: Path, line: str, model: str, coefficients: tuple[float, ...]
) -> None:
    text = f"# Camera list with one line of data per camera:\n{line}\n"
    lens = lens_in(tmp_path, text, "cameras.txt")
    assert_inner(lens)
    assert (lens.model, lens.coefficients) == (model, coefficients)


def test_colmap_simple_radial(tmp_path: Path) -> None:
    lens = lens_in(tmp_path, "1 SIMPLE_RADIAL 640 480 500 320 240 0.1", "cameras.txt")
    assert (lens.fx, lens.fy, lens.cx) == (500, 500, 319.5)
    assert lens.coefficients == (0.1, 0, 0, 0)
    with pytest.raises(DataError, match="COLMAP's model THIN_PRISM_FISHEYE"):
        lens_in(tmp_path, "1 THIN_PRISM_FISHEYE 640 480 1 2 3 4 5 6", "cameras.txt")
    with pytest.raises(DataError, match="PINHOLE width height fx fy cx cy"):
        lens_in(tmp_path, "1 PINHOLE 640 480 500 320", "cameras.txt")


def test_intrinsics_in_words(tmp_path: Path) -> None:
    lens = lens_of_text("500.5,501.5,320.25,240.75", (640, 480))
    assert_inner(lens)
    assert lens_of_text("fr1", None).fx == 517.3
    assert lens_of_text("500 500 320 240 0.1 0 0 0", (640, 480)).coefficients == (0.1, 0, 0, 0)
    for text in ("nowhere.yaml", "500", "a,b,c,d"):
        with pytest.raises(DataError, match="expected fx,fy,cx,cy, a calibration file"):
            lens_of_text(text, (640, 480))


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [1]\nb: [" + "*a, " * 100 + "]\n",
        "[" * 5000,
        "camera_matrix: 3\nimage_width: 4\nimage_height: 3\n",
        "cam0: {}\n",
        "cam0: 7\n",
        "intrinsics: [1, 2]\nresolution: [3, 4]\n",
        "%YAML:1.0\n---\ncamera_matrix: !!opencv-matrix\n   rows: 9\n",
        "1 PINHOLE 640 480 nan nan 3 4\n",
    ],
)
def test_damaged_files_are_refused_without_a_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match="expected"):
        read_calibration(path)
