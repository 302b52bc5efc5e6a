"""The inverse warp against what geometry says: identity, planes, exact validity, derivatives."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.geometry.projection import pixel_grid, pixel_rays
from e2e_slam_ros.geometry.warp import inverse_warp

CAMERA = PinholeCamera(64, 48, 60.0, 58.0, 31.0, 24.5)
SOURCE_CAMERA = PinholeCamera(80, 56, 71.0, 69.0, 41.5, 27.0)

# A plane n . p = h in the target camera's frame, tilted, about 2 m away.
NORMAL = torch.tensor([0.2, -0.15, 1.0], dtype=torch.float64)
HEIGHT = 2.0

MOTIONS = {
    "sideways": [0.1, 0.0, 0.0, 0.0, 0.0, 0.0],
    "forward": [0.0, 0.0, -0.2, 0.0, 0.0, 0.0],
    "turn": [0.0, 0.0, 0.0, 0.0, math.radians(4.0), 0.0],
    "roll": [0.0, 0.0, 0.0, 0.0, 0.0, math.radians(10.0)],
    "all": [0.08, -0.05, 0.1, 0.03, -0.05, 0.08],
}


def _k(camera: PinholeCamera, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return camera.matrix(dtype=dtype)


def _motion(xi: list[float]) -> torch.Tensor:
    return se3.exp(torch.tensor([xi], dtype=torch.float64))


def _plane_depth(camera: PinholeCamera = CAMERA) -> torch.Tensor:
    rays = pixel_rays(camera.height, camera.width, _k(camera))
    return HEIGHT / torch.einsum("c,bchw->bhw", NORMAL, rays)[:, None]


def _homography(
    motion: torch.Tensor, camera: PinholeCamera, source: PinholeCamera
) -> torch.Tensor:
    """K_s (R + t n^T / h) K_t^-1: where the plane's target pixels are in the source image."""
    rigid = motion[0]
    plane = rigid[:3, :3] + torch.outer(rigid[:3, 3], NORMAL) / HEIGHT
    return _k(source) @ plane @ torch.linalg.inv(_k(camera))


def _expected_uv(motion: torch.Tensor, source: PinholeCamera) -> torch.Tensor:
    grid = pixel_grid(CAMERA.height, CAMERA.width, dtype=torch.float64)
    pixels = torch.cat([grid, torch.ones_like(grid[:1])]).flatten(1)
    mapped = _homography(motion, CAMERA, source) @ pixels
    return (mapped[:2] / mapped[2:]).reshape(1, 2, CAMERA.height, CAMERA.width)


def _texture(uv: torch.Tensor) -> torch.Tensor:
    """A smooth pattern, wavelengths of 24 and 18 pixels, in [0, 1]."""
    u, v = uv[:, :1], uv[:, 1:]
    return 0.5 + 0.25 * torch.sin(2 * math.pi * u / 24) + 0.25 * torch.cos(2 * math.pi * v / 18)


@settings(max_examples=30)
@given(st.integers(2, 90), st.integers(2, 70), st.floats(0.3, 2.0), st.integers(0, 10_000))
def test_identity_reproduces_any_image_with_any_depth(
    width: int, height: int, focal: float, seed: int
) -> None:
    generator = torch.manual_seed(seed)
    camera = PinholeCamera(width, height, focal * width, focal * width, width / 2.3, height / 1.9)
    image = torch.rand(2, 3, height, width, generator=generator)
    depth = 0.01 + 20.0 * torch.rand(2, 1, height, width, generator=generator)
    k = _k(camera, torch.float32)
    warp = inverse_warp(image, depth, torch.eye(4).expand(2, 4, 4), k, k)
    assert bool(warp.valid.all())
    torch.testing.assert_close(warp.image, image, rtol=0, atol=1e-5)
    torch.testing.assert_close(warp.z, depth)


def test_identity_at_full_size() -> None:
    camera = PinholeCamera(640, 480, 517.3, 516.5, 318.6, 255.3)
    image = torch.rand(1, 3, 480, 640, generator=torch.manual_seed(0))
    depth = 0.1 + 8.0 * torch.rand(1, 1, 480, 640, generator=torch.manual_seed(1))
    k = _k(camera, torch.float32)
    warp = inverse_warp(image, depth, torch.eye(4), k, k)
    assert bool(warp.valid.all())
    torch.testing.assert_close(warp.image, image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("source", [CAMERA, SOURCE_CAMERA], ids=["same camera", "other camera"])
@pytest.mark.parametrize("name", MOTIONS)
def test_plane_under_known_motion(name: str, source: PinholeCamera) -> None:
    motion = _motion(MOTIONS[name])
    expected = _expected_uv(motion, source)
    # Bilinear sampling is exact on ramps, so this image reads back the coordinates themselves.
    ramps = pixel_grid(source.height, source.width, dtype=torch.float64)[None]
    warp = inverse_warp(ramps, _plane_depth(), motion, _k(CAMERA), _k(source))
    torch.testing.assert_close(warp.uv, expected, rtol=0, atol=1e-9)
    size = torch.tensor([source.width - 1, source.height - 1], dtype=torch.float64)
    within = ((expected >= 0) & (expected <= size[None, :, None, None])).all(1, keepdim=True)
    assert torch.equal(warp.valid, within)
    assert float(within.double().mean()) > 0.5  # the comparison below is of something
    shown = torch.where(within, expected, torch.zeros_like(expected))
    torch.testing.assert_close(warp.image, shown, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", MOTIONS)
def test_plane_image_under_known_motion(name: str) -> None:
    motion = _motion(MOTIONS[name])
    grid = pixel_grid(CAMERA.height, CAMERA.width, dtype=torch.float64)[None]
    source = _texture(grid)
    target = _texture(_expected_uv(motion, CAMERA))  # what the target camera sees, analytically
    warp = inverse_warp(source, _plane_depth(), motion, _k(CAMERA), _k(CAMERA))
    # Linear interpolation of a sine of wavelength L and amplitude a errs by a (2 pi / L)^2 / 8.
    bound = 0.25 * (2 * math.pi) ** 2 / 8 * (1 / 24**2 + 1 / 18**2)
    error = (warp.image - target).abs()[warp.valid]
    assert float(error.max()) < 1.01 * bound
    unmoved = (source - target).abs()[warp.valid]
    assert float(unmoved.mean()) > 10 * float(error.mean())


def test_parallel_translation_of_a_frontal_plane_shifts_by_whole_pixels() -> None:
    # f t / d = 60 * 0.1 / 2 = 3 pixels.
    image = torch.rand(1, 1, 48, 64, generator=torch.manual_seed(3))
    depth = torch.full((1, 1, 48, 64), 2.0)
    k = _k(CAMERA, torch.float32)
    warp = inverse_warp(image, depth, _motion(MOTIONS["sideways"]), k, k)
    torch.testing.assert_close(warp.image[..., :-3], image[..., 3:], rtol=0, atol=1e-5)
    assert bool(warp.valid[..., :-4].all()) and not bool(warp.valid[..., -2:].any())


def test_source_depth_of_forward_motion() -> None:
    warp = inverse_warp(
        torch.rand(1, 1, 48, 64, dtype=torch.float64),
        _plane_depth(),
        _motion(MOTIONS["forward"]),
        _k(CAMERA),
        _k(CAMERA),
    )
    torch.testing.assert_close(warp.z, _plane_depth() - 0.2, rtol=0, atol=1e-12)


def test_pure_rotation_does_not_depend_on_depth() -> None:
    motion = _motion(MOTIONS["turn"])
    image = torch.rand(1, 1, 48, 64, dtype=torch.float64)
    near, far = torch.full_like(image, 0.2), torch.full_like(image, 50.0)
    a = inverse_warp(image, near, motion, _k(CAMERA), _k(CAMERA))
    b = inverse_warp(image, far, motion, _k(CAMERA), _k(CAMERA))
    torch.testing.assert_close(a.uv, b.uv, rtol=0, atol=1e-9)


def test_points_behind_the_source_camera_are_invalid() -> None:
    # The source camera is 1 m ahead: points nearer than 1 m are behind it.
    depth = torch.full((1, 1, 48, 64), 0.5)
    depth[..., 32:] = 3.0
    image = torch.ones(1, 1, 48, 64)
    k = _k(CAMERA, torch.float32)
    warp = inverse_warp(image, depth, _motion([0, 0, -1.0, 0, 0, 0]), k, k)
    assert not bool(warp.valid[..., :32].any())
    assert bool((warp.z[..., :32] == -0.5).all()) and bool((warp.image[..., :32] == 0).all())
    assert bool(warp.valid[..., 20:28, 34:40].all())


def test_half_a_turn_sees_nothing() -> None:
    motion = _motion([0, 0, 0, 0, math.pi, 0])
    warp = inverse_warp(
        torch.ones_like(_plane_depth()), _plane_depth(), motion, _k(CAMERA), _k(CAMERA)
    )
    assert not bool(warp.valid.any())


@pytest.mark.parametrize("missing", [0.0, -1.0, math.nan, math.inf])
def test_missing_depth_is_invalid_and_harmless(missing: float) -> None:
    depth = _plane_depth().clone()
    depth[..., 10, 20] = missing
    depth.requires_grad_()
    image = torch.rand(1, 2, 48, 64, dtype=torch.float64, generator=torch.manual_seed(4))
    motion = _motion([0.01, 0, 0, 0, 0, 0]).requires_grad_()
    warp = inverse_warp(image, depth, motion, _k(CAMERA), _k(CAMERA))
    assert not bool(warp.valid[..., 10, 20]) and bool(warp.valid[..., 10, 21])
    assert float(warp.z.detach()[..., 10, 20]) == 0.0
    warp.image.sum().backward()
    assert depth.grad is not None and motion.grad is not None
    assert bool(torch.isfinite(depth.grad).all() & torch.isfinite(motion.grad).all())
    assert float(depth.grad[..., 10, 20]) == 0.0


def test_pixels_pushed_out_of_view_are_not_valid() -> None:
    # One pixel of parallax to the left of the first column: that column alone is lost.
    depth = torch.full((1, 1, 48, 64), 2.0, dtype=torch.float64)
    motion = _motion([-2.0 / 60.0, 0, 0, 0, 0, 0])
    warp = inverse_warp(torch.ones_like(depth), depth, motion, _k(CAMERA), _k(CAMERA))
    # The second column lands on the first to the last bit or one bit off; both are exact answers.
    assert not bool(warp.valid[..., 0].any()) and bool(warp.valid[..., 2:].all())


def test_derivatives() -> None:
    camera = PinholeCamera(6, 5, 6.0, 6.0, 2.5, 2.0)
    image = torch.rand(1, 2, 5, 6, dtype=torch.float64, generator=torch.manual_seed(5))
    depth = 2 + 0.2 * torch.rand(1, 1, 5, 6, dtype=torch.float64, generator=torch.manual_seed(6))
    # 0.9 pixels sideways: away from the pixel centres, where bilinear sampling has its kinks.
    xi = torch.tensor([[0.3, 0.13, 0.02, 0.01, -0.02, 0.03]], dtype=torch.float64)

    def warped(image: torch.Tensor, depth: torch.Tensor, xi: torch.Tensor) -> torch.Tensor:
        return inverse_warp(image, depth, se3.exp(xi), _k(camera), _k(camera)).image

    inputs = tuple(tensor.requires_grad_() for tensor in (image, depth, xi))
    assert torch.autograd.gradcheck(warped, inputs)


def test_derivative_of_the_pixel_with_respect_to_depth() -> None:
    # u_s = f t / d + u, so du_s/dd = -f t / d^2 = -1.5 pixels per metre.
    depth = torch.full((1, 1, 48, 64), 2.0, dtype=torch.float64, requires_grad=True)
    warp = inverse_warp(
        torch.zeros(1, 1, 48, 64, dtype=torch.float64),
        depth,
        _motion(MOTIONS["sideways"]),
        _k(CAMERA),
        _k(CAMERA),
    )
    warp.uv[:, 0, :, :60].sum().backward()
    assert depth.grad is not None
    torch.testing.assert_close(
        depth.grad[..., :60], torch.full((1, 1, 48, 60), -1.5, dtype=torch.float64)
    )


def test_a_batch_equals_one_at_a_time() -> None:
    image = torch.rand(3, 2, 48, 64, dtype=torch.float64, generator=torch.manual_seed(7))
    depth = _plane_depth() * torch.tensor([0.8, 1.0, 1.3]).double()[:, None, None, None]
    motion = torch.cat([_motion(MOTIONS[name]) for name in ("sideways", "roll", "all")])
    k = torch.stack([_k(CAMERA), _k(CAMERA) * torch.tensor([[1.1], [1.1], [1.0]]), _k(CAMERA)])
    together = inverse_warp(image, depth, motion, k, k)
    for i in range(3):
        alone = inverse_warp(image[i : i + 1], depth[i : i + 1], motion[i], k[i], k[i])
        torch.testing.assert_close(together.image[i : i + 1], alone.image)
        assert torch.equal(together.valid[i : i + 1], alone.valid)


@pytest.mark.gpu
def test_cuda_agrees_with_the_processor() -> None:
    image = torch.rand(1, 3, 48, 64, dtype=torch.float64)
    motion = _motion(MOTIONS["all"])
    here = inverse_warp(image, _plane_depth(), motion, _k(CAMERA), _k(CAMERA))
    inputs = (t.cuda() for t in (image, _plane_depth(), motion, _k(CAMERA), _k(CAMERA)))
    there = inverse_warp(*inputs)
    assert torch.equal(there.valid.cpu(), here.valid)
    torch.testing.assert_close(there.image.cpu(), here.image)
