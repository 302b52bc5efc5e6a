"""Gradients through fusion, and the same map as without them."""

from __future__ import annotations

import torch

from e2e_slam_ros.config import MapConfig
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.losses.chamfer import chamfer
from e2e_slam_ros.mapping.differentiable_map import DifferentiableMap
from e2e_slam_ros.mapping.surfel_map import SurfelMap
from e2e_slam_ros.mapping.surfel_store import Surfels
from synthetic import CAMERA, estimate, keyframe, pose

SMALL = PinholeCamera(width=9, height=7, fx=8.0, fy=8.5, cx=4.1, cy=3.2)
CONFIG = MapConfig()


def random_frame(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    depth = 2.0 + 0.004 * torch.rand((1, 1, 7, 9), generator=generator, dtype=torch.float64)
    image = torch.rand((1, 3, 7, 9), generator=generator, dtype=torch.float64)
    return depth, image


def two_frames(
    depth: torch.Tensor, image: torch.Tensor, xi: torch.Tensor, intrinsics: torch.Tensor
) -> Surfels:
    made = DifferentiableMap(CONFIG)
    first_depth, first_image = random_frame(0)
    made.fuse(first_depth, first_image, SMALL, torch.eye(4, dtype=torch.float64))
    return made.fuse(depth, image, SMALL, se3.exp(xi), intrinsics)


def test_gradients_are_exact_to_depth_colour_pose_and_intrinsics() -> None:
    depth, image = random_frame(1)
    xi = torch.tensor([0.31, -0.02, 0.01, 0.004, -0.006, 0.01], dtype=torch.float64)
    inputs = (depth, image, xi, SMALL.matrix(dtype=torch.float64))
    for tensor in inputs:
        tensor.requires_grad_()
    surfels = two_frames(*inputs)
    merged = int((surfels.updated[surfels.created == 0] == 1).sum())
    assert merged > 10 and int((surfels.created == 1).sum()) > 0

    def outputs(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        made = two_frames(*values)
        return made.positions, made.normals, made.colors

    # Pixels whose neighbours are missing take no part; finite differences step over no edge.
    assert torch.autograd.gradcheck(outputs, inputs, eps=1e-7, atol=1e-4, nondet_tol=1e-12)


def test_it_builds_the_same_map_as_the_surfel_map() -> None:
    plain, made = SurfelMap(CONFIG, torch.device("cpu")), DifferentiableMap(CONFIG)
    for index, T in enumerate((pose(), pose(x=0.2), pose(x=0.1, yaw_deg=5.0))):
        seen = keyframe(T, index, grey=0.2 + 0.2 * index)
        assert seen.sensor_depth is not None
        plain.fuse(seen, estimate(seen.sensor_depth))
        surfels = made.fuse(seen.sensor_depth, seen.image, CAMERA, T)
    assert len(plain) == len(surfels)
    for name in ("positions", "colors", "confidence"):
        ours, theirs = getattr(surfels, name), getattr(plain.surfels, name)
        assert torch.allclose(ours.mean(0), theirs.mean(0), atol=1e-5)


def test_noise_in_one_frame_is_undone_through_the_map() -> None:
    # Paper B.1 in small: the fourth frame is the unknown, the map of the clean frames the truth.
    T = [pose(x=0.02 * i) for i in range(4)]
    frames = [keyframe(T[i], i, grey=0.5) for i in range(4)]
    clean = frames[3].sensor_depth
    assert clean is not None

    def fused(depth: torch.Tensor) -> torch.Tensor:
        made = DifferentiableMap(CONFIG)
        for i in range(3):
            seen = frames[i].sensor_depth
            assert seen is not None
            made.fuse(seen, frames[i].image, CAMERA, T[i])
        return made.fuse(depth, frames[3].image, CAMERA, T[3]).positions

    truth = fused(clean).detach()
    noise = 0.01 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    depth = (clean + noise).requires_grad_()
    optimizer = torch.optim.Adam([depth], lr=1e-3)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = chamfer(fused(depth), truth)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert (depth - clean).abs().mean() < 0.75 * noise.abs().mean()
