"""The pinhole camera: intrinsics under resize and crop, refusals."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import project

CAMERA = PinholeCamera(640, 480, 517.3, 516.5, 318.6, 255.3, (0.26, -0.95, -0.005, 0.003, 1.16))


def _pixel(camera: PinholeCamera, x: float, y: float, z: float) -> tuple[float, float]:
    point = torch.tensor([[x], [y], [z]], dtype=torch.float64)[None]
    uv, _ = project(point, camera.matrix(dtype=torch.float64))
    return float(uv[0, 0]), float(uv[0, 1])


def test_matrix() -> None:
    expected = [[517.3, 0.0, 318.6], [0.0, 516.5, 255.3], [0.0, 0.0, 1.0]]
    assert CAMERA.matrix(dtype=torch.float64).tolist() == expected
    assert CAMERA.matrix().dtype == torch.float32


def test_halving_moves_the_first_pixel_centre_by_half_a_pixel() -> None:
    # The first pixel of the half-size image covers pixels 0 and 1: its centre is at 0.5.
    half = CAMERA.resized(320, 240)
    u, v = _pixel(CAMERA, 0.1, -0.2, 2.0)
    small_u, small_v = _pixel(half, 0.1, -0.2, 2.0)
    assert (small_u, small_v) == pytest.approx(((u - 0.5) / 2, (v - 0.5) / 2), abs=1e-12)


def test_resized_intrinsics_agree_with_area_resizing_of_an_image() -> None:
    # An image whose value is the ray's x = (u - cx) / fx; every area mean must be the x of the
    # resized camera's own pixel centre.
    u = torch.arange(CAMERA.width, dtype=torch.float64)
    x = ((u - CAMERA.cx) / CAMERA.fx).expand(1, 1, CAMERA.height, CAMERA.width)
    small = torch.nn.functional.interpolate(x, (120, 160), mode="area")[0, 0, 0]
    camera = CAMERA.resized(160, 120)
    own = (torch.arange(160, dtype=torch.float64) - camera.cx) / camera.fx
    torch.testing.assert_close(small, own, rtol=0, atol=1e-12)


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 2000))
def test_resizing_back_restores_the_camera(w: int, h: int, w2: int, h2: int) -> None:
    camera = PinholeCamera(w, h, 0.8 * w, 0.7 * h, w / 2, h / 3, (0.1, 0.0, 0.0, 0.0))
    back = camera.resized(w2, h2).resized(w, h)
    assert (back.width, back.height, back.distortion) == (w, h, camera.distortion)
    for name in ("fx", "fy", "cx", "cy"):
        assert getattr(back, name) == pytest.approx(getattr(camera, name), rel=1e-9, abs=1e-9)


def test_undistorted_keeps_the_pinhole() -> None:
    ideal = CAMERA.undistorted()
    assert CAMERA.is_distorted and not ideal.is_distorted
    assert torch.equal(ideal.matrix(), CAMERA.matrix())
    assert not PinholeCamera(4, 4, 1.0, 1.0, 0.0, 0.0, (0.0,) * 5).is_distorted


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fx": 0.0}, "never filled in"),
        ({"fy": -500.0}, "positive focal"),
        ({"fx": math.nan}, "finite"),
        ({"cx": math.inf}, "finite"),
        ({"width": 0}, "1x1"),
        *(({"fx": f, "fy": f}, "expected 5 to 175 degrees") for f in (1e-35, 1e-4, 9.0, 1e308)),
        ({"fx": 1e-4}, "expected 5 to 175 degrees"),
        ({"cx": 1500.0}, "expected one near the image"),
        ({"cy": -300.0}, "expected one near the image"),
        ({"distortion": (0.1, 0.2)}, "2 coefficients"),
        ({"distortion": (0.1,) * 8}, "plumb_bob"),
    ],
)
def test_refuses_what_is_no_camera(changes: dict[str, object], words: str) -> None:
    values = {"width": 640, "height": 480, "fx": 500.0, "fy": 500.0, "cx": 320.0, "cy": 240.0}
    with pytest.raises(CameraError, match=words):
        PinholeCamera(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("angle_deg", [5.01, 60.0, 174.9])
def test_telescopes_and_wide_lenses_are_cameras_and_so_are_strips(angle_deg: float) -> None:
    f = 320.0 / math.tan(math.radians(angle_deg / 2))
    camera = PinholeCamera(640, 480, f, f, -300.0, 700.0)
    assert camera.resized(320, 240).fx == f / 2
    assert PinholeCamera(640, 4, f, f, 320.0, 2.0).height == 4
