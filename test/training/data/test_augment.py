"""A virtual camera is exact: for depth, for intrinsics and for the motion between two views."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import backproject, pixel_rays, project
from e2e_slam_ros.training.data.augment import (
    VirtualCameras,
    draw_cameras,
    look_through,
    resized,
)
from e2e_slam_ros.training.data.batch import PairBatch, stored_batch
from e2e_slam_ros.training.data.config import AugmentConfig
from e2e_slam_ros.training.data.views import ViewPair

H, W = 96, 128
K = torch.tensor([[110.0, 0.0, 62.0], [0.0, 105.0, 49.0], [0.0, 0.0, 1.0]])
# A wall, n . p = 2 in the target camera, seen from a second camera a little to the side.
NORMAL = torch.nn.functional.normalize(torch.tensor([0.25, -0.15, 1.0]), dim=0)
OFFSET = 2.0
MOTION = se3.exp(torch.tensor([0.12, -0.05, 0.03, 0.05, -0.08, 0.1]))


def plane_depth(k: torch.Tensor, height: int, width: int, normal: torch.Tensor) -> torch.Tensor:
    rays = pixel_rays(height, width, k[None])[0]
    return OFFSET / torch.einsum("i,ihw->hw", normal, rays)[None]


def smooth_image(height: int, width: int) -> torch.Tensor:
    u = torch.linspace(0.0, 6.0, width).expand(height, width)
    v = torch.linspace(0.0, 4.0, height)[:, None].expand(height, width)
    rows = torch.stack([u.sin(), v.cos(), (u + v).sin()])
    return ((0.5 + 0.4 * rows) * 255).round().to(torch.uint8)


def pair(has_source: bool = True) -> ViewPair:
    image = smooth_image(H, W)
    depth = plane_depth(K, H, W, NORMAL)
    return ViewPair(image, image.flip(-1), depth, depth + 0.5, K, MOTION, has_source, True, True)


def drawn(
    before: ViewPair,
    config: AugmentConfig,
    generator: torch.Generator,
    height: int = H,
    width: int = W,
) -> VirtualCameras:
    size = (before.image.shape[-2], before.image.shape[-1])
    return draw_cameras(before.intrinsics[None], size, config, height, width, generator)


def one(rotation: torch.Tensor, intrinsics: torch.Tensor, mirrored: bool) -> VirtualCameras:
    return VirtualCameras(rotation[None], intrinsics[None], torch.tensor([mirrored]))


def through(
    before: ViewPair, cameras: VirtualCameras, height: int = H, width: int = W
) -> ViewPair:
    seen = look_through(stored_batch([before]), cameras, height, width)
    return ViewPair(
        seen.image[0], seen.source[0], seen.depth[0], seen.source_depth[0], seen.intrinsics[0],
        seen.T_source_target[0], before.has_source, True, True, seen.seen[0], seen.source_seen[0],
    )  # fmt: skip


def unchanged() -> AugmentConfig:
    return AugmentConfig(
        mirror=0.0, roll_share=0.0, tilt_deg=0.0, zoom_min=1.0, zoom_max=1.0,
        aspect_min=1.0, aspect_max=1.0,
    )  # fmt: skip


def test_no_change_gives_every_value_back() -> None:
    generator = torch.Generator().manual_seed(0)
    before = pair()
    camera = drawn(before, unchanged(), generator)
    after = through(before, camera)
    torch.testing.assert_close(after.image, before.image / 255.0, atol=2e-5, rtol=0)
    torch.testing.assert_close(after.source, before.source / 255.0, atol=2e-5, rtol=0)
    torch.testing.assert_close(after.depth, before.depth)
    torch.testing.assert_close(after.intrinsics, K)
    torch.testing.assert_close(after.T_source_target, MOTION)


@pytest.mark.parametrize("seed", range(6))
def test_a_plane_stays_the_plane_that_the_turned_camera_sees(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    # Sampled depth is the nearest pixel's: fine pixels keep that error small.
    fine = resized(K, (H, W), 8 * H, 8 * W)
    depth = plane_depth(fine, 8 * H, 8 * W, NORMAL)
    image = smooth_image(8 * H, 8 * W)
    recorded = ViewPair(image, image, depth, depth, fine, MOTION, True, True, True)
    camera = drawn(recorded, AugmentConfig(mirror=0.0), generator)
    seen = through(recorded, camera)
    expected = plane_depth(seen.intrinsics, H, W, camera.rotation[0] @ NORMAL)
    known = seen.depth > 0
    assert float(known.float().mean()) > 0.8
    assert float((seen.depth / expected - 1)[known].abs().max()) < 3e-3


@pytest.mark.parametrize("mirrored", [False, True])
def test_intrinsics_and_motion_still_lead_to_the_same_pixel_of_the_source(mirrored: bool) -> None:
    # A point is followed twice: through the recorded cameras and then the virtual source camera,
    # and through the new intrinsics and motion alone.
    roll = math.radians(20)
    rotation = se3.exp(torch.tensor([0.0, 0.0, 0.0, 0.1, -0.07, roll]))[:3, :3]
    k = torch.tensor([[130.0, 0.0, 60.0], [0.0, 120.0, 50.0], [0.0, 0.0, 1.0]])
    seen = through(pair(), one(rotation, k, mirrored))
    points = torch.tensor([[0.3, -0.2, 2.0], [-0.4, 0.1, 1.5], [0.1, 0.3, 3.0]])
    there = se3.transform_points(MOTION[None], points[None])[0]

    def virtual_pixel(p: torch.Tensor) -> torch.Tensor:
        uv, _ = project((p @ rotation.T).T[None, :, None], k[None])
        at = uv[0, :, 0].T.clone()
        if mirrored:
            at[:, 0] = W - 1 - at[:, 0]
        return at

    new = torch.linalg.inv(seen.intrinsics)
    z = (points @ rotation.T)[:, 2]
    rays = torch.cat([virtual_pixel(points), torch.ones(3, 1)], 1) @ new.T
    moved = se3.transform_points(seen.T_source_target[None], (rays * z[:, None])[None])[0]
    uv, _ = project(moved.T[None, :, None], seen.intrinsics[None])
    torch.testing.assert_close(uv[0, :, 0].T, virtual_pixel(there), atol=1e-3, rtol=0)


def test_resized_intrinsics_see_the_same_corners() -> None:
    small = resized(K, (H, W), 48, 32)
    corner = torch.tensor([-0.5, -0.5, 1.0])  # the outer corner of the first pixel
    torch.testing.assert_close(torch.linalg.inv(K) @ corner, torch.linalg.inv(small) @ corner)
    last, small_last = torch.tensor([W - 0.5, H - 0.5, 1.0]), torch.tensor([31.5, 47.5, 1.0])
    torch.testing.assert_close(torch.linalg.inv(K) @ last, torch.linalg.inv(small) @ small_last)


def test_mirroring_mirrors_image_and_depth() -> None:
    camera = drawn(pair(), unchanged(), torch.Generator().manual_seed(0))
    plain = through(pair(), camera)
    other = through(pair(), one(camera.rotation[0], camera.intrinsics[0], True))
    torch.testing.assert_close(other.image, plain.image.flip(-1))
    torch.testing.assert_close(other.depth, plain.depth.flip(-1))
    first = backproject(plain.depth[None], plain.intrinsics[None])[0]
    second = backproject(other.depth[None], other.intrinsics[None])[0].flip(-1)
    torch.testing.assert_close(second, first * torch.tensor([-1.0, 1.0, 1.0])[:, None, None])


def test_little_lies_outside_the_image_and_has_no_depth() -> None:
    config = AugmentConfig(max_outside=0.15)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        before = pair()
        seen = through(before, drawn(before, config, generator))
        assert float((seen.depth == 0).float().mean()) < 0.25
        assert 0.0 <= float(seen.image.min()) and float(seen.image.max()) <= 1.0


def test_a_single_view_is_its_own_source() -> None:
    before = pair(has_source=False)
    camera = drawn(before, AugmentConfig(), torch.Generator().manual_seed(3), 64, 96)
    seen = through(before, camera, 64, 96)
    assert torch.equal(seen.image, seen.source) and torch.equal(seen.depth, seen.source_depth)
    assert seen.image.shape == (3, 64, 96)


def test_what_was_made_up_to_fill_the_image_is_marked() -> None:
    before = pair()
    turned = se3.exp(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.5]))[:3, :3]
    seen = through(before, one(turned, K, False))
    assert seen.seen is not None and seen.source_seen is not None
    share = float(seen.seen.float().mean())
    assert 0.6 < share < 0.95
    # Depth is known where the nearest pixel is; seeing needs all four.
    assert bool((seen.depth[seen.seen] > 0).all())
    whole = through(before, one(torch.eye(3), K, False))
    assert whole.seen is not None and bool(whole.seen.all())


def test_cameras_of_a_batch_do_not_mix() -> None:
    wide, near = pair(), replace(pair(), image=pair().image.flip(-2), T_source_target=torch.eye(4))
    generator = torch.Generator().manual_seed(5)
    cameras = draw_cameras(torch.stack([K, K]), (H, W), AugmentConfig(), 64, 96, generator)
    both = look_through(stored_batch([wide, near]), cameras, 64, 96)
    for index, before in enumerate((wide, near)):
        alone = VirtualCameras(*(value[index : index + 1] for value in vars(cameras).values()))
        expected = look_through(stored_batch([before]), alone, 64, 96)
        for name, value in vars(expected).items():
            torch.testing.assert_close(getattr(both, name)[index : index + 1], value)


def test_without_a_second_view_in_the_batch_the_target_stands_for_it() -> None:
    batch: PairBatch = stored_batch([pair(has_source=False)] * 2)
    cameras = drawn(pair(), unchanged(), torch.Generator())
    cameras = VirtualCameras(
        *(value.expand(2, *value.shape[1:]) for value in vars(cameras).values())
    )
    seen = look_through(batch, cameras, H, W)
    assert torch.equal(seen.image, seen.source) and torch.equal(seen.depth, seen.source_depth)
