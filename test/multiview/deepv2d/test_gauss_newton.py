"""One Gauss-Newton step of poses: against autograd, against the truth, and where it fails."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_rays
from e2e_slam_ros.multiview.deepv2d.gauss_newton import (
    FlowObservations,
    gauss_newton_step,
    global_pairs,
    keyframe_pairs,
)
from e2e_slam_ros.multiview.deepv2d.reprojection import reproject

H, W = 9, 12
K = torch.tensor([[[11.0, 0.0, 5.5], [0.0, 12.0, 4.2], [0.0, 0.0, 1.0]]], dtype=torch.float64)


@dataclasses.dataclass(frozen=True)
class World:
    """A smooth scene, true poses and disturbed ones; all float64."""

    depth: torch.Tensor
    truth: torch.Tensor
    start: torch.Tensor

    def observations(self, pairs: list[tuple[int, int]]) -> FlowObservations:
        """The flow that is left between where the start and the truth put each pixel."""
        rays = pixel_rays(H, W, K).flatten(2).transpose(1, 2)
        rows = []
        for i, j in pairs:
            depth = self.depth[:, i if self.depth.shape[1] > 1 else 0].flatten(1)
            here, there = (
                reproject(rays, depth, poses[:, i], poses[:, j], K).uv
                for poses in (self.start, self.truth)
            )
            rows.append((there - here).transpose(1, 2).reshape(1, 2, H, W))
        residual = torch.stack(rows, dim=1)
        return FlowObservations(pairs, residual, torch.ones_like(residual))


def world(frames: int, size: float, depths: int = 1, seed: int = 0) -> World:
    generator = torch.Generator().manual_seed(seed)
    truth = se3.exp(0.1 * torch.randn(1, frames, 6, dtype=torch.float64, generator=generator))
    noise = size * torch.randn(1, frames, 6, dtype=torch.float64, generator=generator)
    noise[:, 0] = 0.0
    depth = 1.5 + torch.rand(1, depths, H, W, dtype=torch.float64, generator=generator)
    return World(depth, truth, se3.exp(noise) @ truth)


@pytest.mark.parametrize("which", [0, 1])
def test_jacobians_are_those_of_autograd(which: int) -> None:
    scene = world(2, 0.0)
    rays = pixel_rays(H, W, K).flatten(2).transpose(1, 2)
    depth = scene.depth[:, 0].flatten(1)

    def uv(xi: torch.Tensor) -> torch.Tensor:
        moved = scene.truth.clone()
        moved[:, which] = se3.exp(xi) @ scene.truth[:, which]
        return reproject(rays, depth, moved[:, 0], moved[:, 1], K).uv[0]

    expected = torch.autograd.functional.jacobian(uv, torch.zeros(6, dtype=torch.float64))
    seen = reproject(rays, depth, scene.truth[:, 0], scene.truth[:, 1], K)
    torch.testing.assert_close((seen.to_i, seen.to_j)[which][0], expected)


def test_the_step_is_the_reference_in_double_precision() -> None:
    """The step of eq. 10 with the Jacobian of eq. 4 taken by autograd and a dense solver."""
    scene = world(3, 0.02)
    pairs = keyframe_pairs(3)
    seen = scene.observations(pairs)
    generator = torch.Generator().manual_seed(5)
    weight = torch.rand(seen.weight.shape, dtype=torch.float64, generator=generator)
    seen = dataclasses.replace(seen, weight=weight)
    step = gauss_newton_step(seen, scene.depth, scene.start, K, damping=0.0)
    rays = pixel_rays(H, W, K).flatten(2).transpose(1, 2)
    depth = scene.depth[:, 0].flatten(1)
    for j in (1, 2):

        def error(xi: torch.Tensor, j: int = j) -> torch.Tensor:
            moved = se3.exp(xi) @ scene.start[:, j]
            now = reproject(rays, depth, scene.start[:, 0], moved, K).uv
            before = reproject(rays, depth, scene.start[:, 0], scene.start[:, j], K).uv
            r = seen.residual[:, j - 1].flatten(2).transpose(1, 2)
            return (r - (now - before)).flatten()

        zero = torch.zeros(6, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(error, zero)
        w = weight[:, j - 1].flatten(2).transpose(1, 2).flatten()
        h = jacobian.mT @ (w[:, None] * jacobian)
        reference = -torch.linalg.solve(h, jacobian.mT @ (w * error(zero)))
        torch.testing.assert_close(step.twist[0, j], reference, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("pairs", "depths"), [(keyframe_pairs(4), 1), (global_pairs(4), 4)], ids=["key", "global"]
)
def test_steps_converge_to_the_truth(pairs: list[tuple[int, int]], depths: int) -> None:
    scene = world(4, 0.05, depths)
    errors = []
    for _ in range(5):
        off = se3.log(scene.start @ se3.inverse(scene.truth))
        errors.append(float(off.norm()))
        step = gauss_newton_step(scene.observations(pairs), scene.depth, scene.start, K)
        assert step.solved.all()
        scene = dataclasses.replace(scene, start=step.T_camera_map)
    assert errors[1] < 0.2 * errors[0] and errors[-1] < 1e-6
    assert (step.twist[:, 0] == 0).all()


def test_the_global_solution_is_the_keyframe_solution_of_its_pairs() -> None:
    scene = world(3, 0.03, depths=3)
    alone = gauss_newton_step(
        scene.observations(keyframe_pairs(3)), scene.depth, scene.start, K, 0.0
    )
    # An order that does not begin at the keyframe alone takes the joint way.
    pairs = [(0, 1), (0, 2), (0, 2)]
    seen = scene.observations(pairs)
    seen = dataclasses.replace(
        seen, weight=seen.weight * torch.tensor([1, 0.5, 0.5]).view(3, 1, 1, 1)
    )
    joint = gauss_newton_step(seen, scene.depth, scene.start, K, 0.0)
    torch.testing.assert_close(joint.twist, alone.twist)


def test_gradients_reach_flow_weight_and_depth() -> None:
    scene = world(3, 0.02)
    seen = scene.observations(keyframe_pairs(3))
    weight = torch.full_like(seen.weight, 0.7)

    def twist(residual: torch.Tensor, w: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
        found = gauss_newton_step(FlowObservations(seen.pairs, residual, w), depth, scene.start, K)
        return found.T_camera_map[:, 1:, :3]

    inputs = tuple(x.clone().requires_grad_() for x in (seen.residual, weight, scene.depth))
    assert torch.autograd.gradcheck(twist, inputs, fast_mode=True)


@pytest.mark.parametrize("why", ["no depth", "no confidence", "behind", "one pixel"])
def test_an_undetermined_pose_is_flagged_and_left_as_it_is(why: str) -> None:
    scene = world(3, 0.02)
    seen = scene.observations(keyframe_pairs(3))
    weight, depth, start = seen.weight.clone(), scene.depth.clone(), scene.start.clone()
    if why == "no depth":
        depth[:] = 0.0
    elif why == "behind":
        start[:, 2, 2, 3] = -10.0
    elif why == "no confidence":
        weight[:, 1] = 0.0
    else:
        weight[:, 1] = 0.0
        weight[:, 1, :, 4, 4] = 1.0
    seen = dataclasses.replace(seen, weight=weight.requires_grad_())
    step = gauss_newton_step(seen, depth, start, K)
    expected = [True, False, False] if why == "no depth" else [True, True, False]
    assert step.solved[0].tolist() == expected
    assert torch.equal(step.T_camera_map[0, 2], start[0, 2])
    step.T_camera_map.sum().backward()
    assert weight.grad is not None and torch.isfinite(weight.grad).all()


def test_unknown_depth_and_wild_values_do_not_disturb_the_rest() -> None:
    scene = world(2, 0.03)
    depth = scene.depth.clone()
    seen = scene.observations(keyframe_pairs(2))
    depth[..., :3, :] = torch.tensor([0.0, torch.nan, torch.inf] * 4)
    step = gauss_newton_step(seen, depth, scene.start, K)
    assert step.solved.all()
    off = se3.log(step.T_camera_map @ se3.inverse(scene.truth)).norm()
    assert off < 0.2 * se3.log(scene.start @ se3.inverse(scene.truth)).norm()
