"""Radial-tangential undistortion: the model, its inverse, and whole images."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from e2e_slam_ros.config.errors import CameraError
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.geometry.undistort import Undistorter, distort_points, undistort_points

FR1 = (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
FR2 = (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)
CAMERA = PinholeCamera(640, 480, 517.3, 516.5, 318.6, 255.3, FR1)


def _smooth(points: torch.Tensor) -> torch.Tensor:
    """A pattern over normalised coordinates (..., 2)."""
    x, y = points.unbind(-1)
    return 0.5 + 0.25 * torch.sin(12 * x + 1) + 0.25 * torch.cos(10 * y - x)


def test_radial_term_by_hand() -> None:
    # On the x axis at r = 0.5: 0.5 (1 + 0.1 * 0.25 + 0.2 * 0.0625 + 0.4 * 0.015625)
    point = torch.tensor([0.5, 0.0], dtype=torch.float64)
    bent = distort_points(point, (0.1, 0.2, 0.0, 0.0, 0.4))
    assert bent.tolist() == pytest.approx([0.521875, 0.0], abs=1e-15)


def test_tangential_terms_by_hand() -> None:
    point = torch.tensor([0.3, 0.4], dtype=torch.float64)  # r^2 = 0.25
    bent = distort_points(point, (0.0, 0.0, 0.01, 0.02))
    x = 0.3 + 2 * 0.01 * 0.12 + 0.02 * (0.25 + 2 * 0.09)
    y = 0.4 + 0.01 * (0.25 + 2 * 0.16) + 2 * 0.02 * 0.12
    assert bent.tolist() == pytest.approx([x, y], abs=1e-15)


def test_no_distortion_changes_nothing() -> None:
    points = torch.rand(5, 2)
    assert torch.equal(distort_points(points, ()), points)
    assert torch.equal(undistort_points(points, (0.0,) * 5), points)


@pytest.mark.parametrize("distortion", [FR1, FR2, (-0.3, 0.1, 0.001, -0.002)])
def test_undistortion_inverts_distortion_over_the_whole_image(
    distortion: tuple[float, ...],
) -> None:
    grid = pixel_grid(480, 640, dtype=torch.float64).movedim(0, -1)
    offset = torch.tensor([318.6, 255.3], dtype=torch.float64)
    bent = (grid - offset) / 517.0
    ideal = undistort_points(bent, distortion)
    found = torch.isfinite(ideal).all(-1)
    assert float(found.double().mean()) > 0.97
    back = distort_points(ideal[found], distortion)
    torch.testing.assert_close(back, bent[found], rtol=0, atol=1e-9)


@given(
    st.floats(-0.3, 0.3), st.floats(-0.1, 0.1), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01),
    st.floats(-0.4, 0.4), st.floats(-0.4, 0.4),
)  # fmt: skip
def test_round_trip(k1: float, k2: float, p1: float, p2: float, x: float, y: float) -> None:
    point = torch.tensor([x, y], dtype=torch.float64)
    bent = distort_points(point, (k1, k2, p1, p2))
    torch.testing.assert_close(undistort_points(bent, (k1, k2, p1, p2)), point, rtol=0, atol=1e-9)


def test_inverse_converges_quadratically_with_strong_tangential_terms() -> None:
    # An inexact Jacobian would still converge here, but not to the last digits in ten steps.
    point = torch.tensor([[0.5, 0.4], [-0.4, 0.5], [0.3, -0.5]], dtype=torch.float64)
    distortion = (0.1, 0.05, 0.12, -0.1)
    ideal = undistort_points(distort_points(point, distortion), distortion)
    torch.testing.assert_close(ideal, point, rtol=0, atol=1e-14)


def test_points_no_lens_could_have_put_there_are_nan() -> None:
    # With k1 = -0.3 nothing lands beyond r = 0.7: r (1 - 0.3 r^2) is largest at r = 1.054.
    far = torch.tensor([[0.72, 0.0], [0.69, 0.0]], dtype=torch.float64)
    ideal = undistort_points(far, (-0.3, 0.0, 0.0, 0.0))
    assert bool(torch.isnan(ideal[0]).all()) and bool(torch.isfinite(ideal[1]).all())


def test_derivatives() -> None:
    points = 0.3 * torch.rand(4, 2, dtype=torch.float64, generator=torch.manual_seed(0))
    points.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: distort_points(p, FR1), (points,))
    assert torch.autograd.gradcheck(lambda p: undistort_points(p, FR1), (points,))


def test_image_equals_the_analytic_model() -> None:
    k = torch.tensor([517.3, 516.5]), torch.tensor([318.6, 255.3])
    grid = pixel_grid(480, 640, dtype=torch.float64).movedim(0, -1)
    rays = (grid - k[1].double()) / k[0].double()
    # What the lens records at a pixel is the scene in the direction that it bends to there.
    seen = undistort_points(rays, FR1)
    recorded = _smooth(torch.nan_to_num(seen))[None, None].float()
    undistorter = Undistorter(CAMERA)
    image = undistorter(recorded)
    ideal = _smooth(rays)[None, None].float()
    # One pixel inside the border all four neighbours were recorded by the model.
    inner = torch.zeros_like(undistorter.valid)
    inner[..., 8:-8, 8:-8] = undistorter.valid[..., 8:-8, 8:-8]
    assert float(inner.float().mean()) > 0.9
    error = (image - ideal).abs()[inner]
    assert float(error.max()) < 2e-3
    assert float((recorded - ideal).abs()[inner].max()) > 20 * float(error.max())


def test_nearest_does_not_mix_depths() -> None:
    depth = torch.where(torch.arange(640) < 320, 1.0, 3.0).expand(1, 1, 480, 640)
    undistorter = Undistorter(CAMERA)
    values = undistorter(depth, mode="nearest").unique().tolist()
    assert set(values) <= {0.0, 1.0, 3.0} and {1.0, 3.0} <= set(values)
    assert len(undistorter(depth).unique()) > 3  # bilinear does, which is why nearest exists


def test_outside_pixels_are_zero_and_marked() -> None:
    # Barrel distortion (k1 < 0): the pinhole's corners lie inside the recorded image; pincushion
    # (k1 > 0): outside it.
    pincushion = Undistorter(PinholeCamera(64, 48, 40.0, 40.0, 31.5, 23.5, (0.3, 0.0, 0.0, 0.0)))
    assert not bool(pincushion.valid[0, 0, 0, 0]) and bool(pincushion.valid[0, 0, 24, 32])
    image = pincushion(torch.ones(1, 3, 48, 64))
    torch.testing.assert_close(image, pincushion.valid.float().expand(1, 3, 48, 64))
    barrel = Undistorter(PinholeCamera(64, 48, 60.0, 60.0, 31.5, 23.5, (-0.2, 0.0, 0.0, 0.0)))
    assert bool(barrel.valid.all())


def test_folded_back_corners_are_invalid() -> None:
    # k1 = -0.3 is one-to-one up to r = 1.054 only; this camera's corners are at r = 1.25.
    camera = PinholeCamera(65, 49, 32.0, 32.0, 32.0, 24.0, (-0.3, 0.0, 0.0, 0.0))
    valid = Undistorter(camera).valid[0, 0]
    assert not bool(valid[0, 0]) and not bool(valid[-1, -1]) and bool(valid[24, 0])


@pytest.mark.parametrize("k", [1e-310, -1e-310, 1e-20, -1e-20])
def test_vanishing_coefficients_are_harmless(k: float) -> None:
    camera = PinholeCamera(8, 6, 8.0, 8.0, 3.5, 2.5, (k, k, 0.0, 0.0, k))
    assert bool(Undistorter(camera).valid[..., 1:-1, 1:-1].all())


def test_undistorted_camera_passes_through() -> None:
    image = torch.rand(1, 3, 480, 640)
    assert Undistorter(CAMERA.undistorted())(image) is image


def test_refuses_another_size() -> None:
    with pytest.raises(CameraError, match=r"\(1, C, 480, 640\)"):
        Undistorter(CAMERA)(torch.zeros(1, 3, 240, 320))


def test_agrees_with_opencv() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed; it is only compared with")
    rng = np.random.default_rng(0)
    noise = rng.random((480, 640), dtype=np.float32)
    image = cv2.GaussianBlur(noise, (0, 0), 4.0)
    k = CAMERA.matrix(dtype=torch.float64).numpy()
    maps = cv2.initUndistortRectifyMap(k, np.array(FR1), None, k, (640, 480), cv2.CV_32FC1)
    theirs = torch.from_numpy(cv2.remap(image, *maps, cv2.INTER_LINEAR))
    undistorter = Undistorter(CAMERA)
    ours = undistorter(torch.from_numpy(image)[None, None])[0, 0]
    valid = undistorter.valid[0, 0]
    # remap rounds coordinates to 1/32 pixel.
    limit = float(np.abs(np.gradient(image)).max()) / 32
    assert float((ours - theirs).abs()[valid].max()) < 2 * limit

    points = rng.uniform(-0.6, 0.6, (500, 3))
    points[:, 2] = 1.0
    zero = np.zeros(3)
    pixels, _ = cv2.projectPoints(points[:, None], zero, zero, k, np.array(FR1))
    theirs = torch.from_numpy((pixels[:, 0] - k[:2, 2]) / k[[0, 1], [0, 1]])
    bent = distort_points(torch.from_numpy(points[:, :2]), FR1)
    torch.testing.assert_close(bent, theirs, rtol=0, atol=1e-9)
