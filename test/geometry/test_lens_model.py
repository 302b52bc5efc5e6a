"""Cameras of every model against OpenCV and the published formulas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.geometry.lens_model import LensModel

# Lenses as drivers publish them: Kinect, OAK-D, Azure Kinect, RealSense fisheye, wide angle.
LENSES = {
    "plumb_bob": ("plumb_bob", (0.2624, -0.9531, -0.0054, 0.0026, 1.1633), 517.0),
    "four": ("plumb_bob", (-0.28, 0.07, 0.0002, 0.00002), 458.0),
    "rational 8": (
        "rational_polynomial",
        (-4.860829, 17.281977, 0.000204, 0.001025, -25.17225, -4.943647, 17.514426, -25.29076),
        800.0,
    ),
    "azure 8": (
        "rational_polynomial",
        (0.5, -2.6, 0.0004, 0.0002, 1.5, 0.38, -2.4, 1.4),
        607.0,
    ),
    "thin prism 12": (
        "rational_polynomial",
        (0.5, -2.6, 4e-4, 2e-4, 1.5, 0.38, -2.4, 1.4, 1e-3, 2e-4, -1e-3, 1e-4),
        607.0,
    ),
    "tilted 14": (
        "rational_polynomial",
        (0.5, -2.6, 4e-4, 2e-4, 1.5, 0.38, -2.4, 1.4, 1e-3, 2e-4, -1e-3, 1e-4, 0.01, -0.02),
        607.0,
    ),
    "fisheye": ("equidistant", (-0.0077, 0.0396, -0.0372, 0.0063), 286.0),
    "equi zeros": ("equidistant", (0.0, 0.0, 0.0, 0.0), 300.0),
}


def lens_of(name: str) -> LensModel:
    model, coefficients, focal = LENSES[name]
    return LensModel(640, 480, focal, focal * 1.01, 322.3, 238.1, model, coefficients)


def pixels() -> np.ndarray:
    u, v = np.meshgrid(np.linspace(0, 639, 17), np.linspace(0, 479, 13))
    return np.stack([u, v], axis=-1).reshape(-1, 2)


@pytest.mark.parametrize("name", LENSES)
def test_rays_and_pixels_are_inverse_to_a_hundredth_pixel(name: str) -> None:
    lens = lens_of(name)
    rays = lens.rays(pixels())
    # A fisheye sees rays beside and behind the camera, which have no z = 1.
    ahead = np.linalg.norm(rays[:, :2], axis=1) < 20
    error = np.linalg.norm(lens.project(rays[ahead]) - pixels()[ahead], axis=1)
    assert ahead.mean() > 0.9 and error.max() < 0.01


def published_rational(lens: LensModel, points: np.ndarray) -> np.ndarray:
    """The formula of OpenCV's documentation, without tilt."""
    c = (*lens.coefficients, *(0.0,) * 14)[:12]
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = c
    x, y = (points[:, :2] / points[:, 2:]).T
    r2 = x * x + y * y
    radial = (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x) + s1 * r2 + s2 * r2 * r2
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y + s3 * r2 + s4 * r2 * r2
    return np.column_stack([lens.fx * u + lens.cx, lens.fy * v + lens.cy])


def published_fisheye(lens: LensModel, points: np.ndarray) -> np.ndarray:
    """Kannala and Brandt 2006, as Kalibr's equidistant model."""
    x, y = (points[:, :2] / points[:, 2:]).T
    r = np.hypot(x, y)
    theta = np.arctan(r)
    k1, k2, k3, k4 = lens.coefficients
    bent = theta * (1 + k1 * theta**2 + k2 * theta**4 + k3 * theta**6 + k4 * theta**8)
    scale = np.where(r > 1e-12, bent / np.maximum(r, 1e-12), 1.0)
    return np.column_stack([lens.fx * x * scale + lens.cx, lens.fy * y * scale + lens.cy])


@pytest.mark.parametrize("name", [name for name in LENSES if name != "tilted 14"])
def test_projection_is_that_of_the_published_formula(name: str) -> None:
    lens = lens_of(name)
    dice = np.random.default_rng(2)
    points = np.column_stack([dice.uniform(-0.5, 0.5, (200, 2)), dice.uniform(0.9, 5.0, 200)])
    formula = published_fisheye if lens.model == "equidistant" else published_rational
    assert np.abs(lens.project(points) - formula(lens, points)).max() < 1e-6


def grid_image() -> np.ndarray:
    """Smooth waves: a wrong map of a pixel changes grey values a lot."""
    v, u = np.indices((480, 640), dtype=np.float64)
    waves = 127 + 60 * np.sin(u / 9) + 60 * np.cos(v / 11)
    return np.repeat(waves.astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("name", ["rational 8", "azure 8", "tilted 14"])
def test_rectified_images_are_those_of_opencv(name: str) -> None:
    lens = lens_of(name)
    assert lens.rectifier is not None and not lens.pinhole.is_distorted
    ours = lens.rectifier.image(grid_image())
    theirs = cv2.undistort(grid_image(), lens.matrix, np.array(lens.coefficients))
    seen = ours.sum(-1) > 0
    assert seen.mean() > 0.6
    assert np.abs(ours.astype(int) - theirs)[seen].mean() < 0.5


@pytest.mark.parametrize("name", ["fisheye", "equi zeros"])
def test_a_fisheye_becomes_a_pinhole_with_a_stated_view(name: str) -> None:
    lens = lens_of(name)
    assert "images become a pinhole of 110 degrees" in lens.words
    camera = lens.pinhole
    matrix = np.array([[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1.0]])
    maps = cv2.fisheye.initUndistortRectifyMap(
        lens.matrix, np.array(lens.coefficients), np.eye(3), matrix, (640, 480), cv2.CV_32FC1
    )
    theirs = cv2.remap(grid_image(), *maps, cv2.INTER_LINEAR)
    ours = lens.rectifier.image(grid_image())
    seen = ours.sum(-1) > 0
    assert seen.mean() > 0.8 and np.abs(ours.astype(int) - theirs)[seen].mean() < 0.5
    flat = lens.rectifier.depth(np.full((480, 640), 2.0, np.float32))
    assert set(np.unique(flat)) <= {0.0, 2.0}


def test_what_a_lens_does_not_see_is_black_and_not_mirrored() -> None:
    folds = LensModel(
        640,
        480,
        300.0,
        300.0,
        319.5,
        239.5,
        "rational_polynomial",
        (-0.9, 0.1, 0, 0, 0, 0.001, 0, 0),
    )
    image = folds.rectifier.image(np.full((480, 640, 3), 200, np.uint8))
    assert image[240, 320, 0] == 200 and image[0, 0, 0] == 0


def test_binning_and_region_of_interest_are_those_of_image_geometry() -> None:
    full = LensModel(1280, 960, 900.0, 902.0, 640.0, 480.0)
    half = full.windowed((2, 2), (0, 0, 0, 0))
    assert (half.width, half.height, half.fx, half.cx) == (640, 480, 450.0, 320.0)
    part = full.windowed((0, 0), (100, 50, 640, 480))
    assert (part.width, part.height, part.fx, part.cx, part.cy) == (640, 480, 900.0, 540.0, 430.0)
    both = full.windowed((2, 4), (100, 80, 640, 480))
    assert (both.width, both.height, both.cx, both.cy) == (320, 120, 270.0, 100.0)


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [("omni", (1.0,)), ("plumb_bob", (1.0, 2.0)), ("equidistant", (0.1,) * 5), ("fov", (0.9,))],
)
def test_other_models_are_refused_with_what_is_known(
    model: str, coefficients: tuple[float, ...]
) -> None:
    with pytest.raises(CameraError, match=f"{model}.*expected plumb_bob"):
        LensModel(64, 48, 60.0, 60.0, 31.5, 23.5, model, coefficients)
