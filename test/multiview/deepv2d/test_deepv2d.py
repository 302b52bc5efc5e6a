"""Alternation of motion and depth: what is held, what begins, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.weights_file import write_weights
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT
from e2e_slam_ros.multiview.deepv2d.deepv2d import CONSTANT_M, DeepV2D, relative_poses
from e2e_slam_ros.multiview.deepv2d.objective import depth_loss, flow_loss, motion_loss
from e2e_slam_ros.multiview.deepv2d.weights import load_deepv2d, save_deepv2d
from multiview.deepv2d.test_depth_module import K, clip


@pytest.fixture(scope="module")
def network() -> DeepV2D:
    torch.manual_seed(0)
    return DeepV2D(LIGHT).eval().requires_grad_(False)


def test_no_iterations_give_what_was_given(network: DeepV2D) -> None:
    images, poses, k = clip(3)
    depth = torch.full((1, 1, 48, 64), 3.0)
    found = network(images, k, 0, T_camera_map=poses, depth=depth)
    assert torch.equal(found.depth, depth) and torch.equal(found.T_camera_map, poses)
    assert found.prediction is None and found.solved.all()
    alone = network(images, k, 0)
    assert (alone.depth == CONSTANT_M).all()
    assert torch.equal(alone.T_camera_map[:, 0], torch.eye(4)[None])


def test_held_poses_stay_and_one_turn_is_all(network: DeepV2D) -> None:
    images, poses, k = clip(3)
    found = network(images, k, 5, T_camera_map=poses, held=True)
    assert torch.equal(found.T_camera_map, poses)
    once = network.depth_module(images, poses, k)
    assert torch.equal(found.depth, once.depth)


@pytest.mark.parametrize("global_poses", [False, True])
def test_free_poses_move_and_the_keyframes_does_not(network: DeepV2D, global_poses: bool) -> None:
    images, poses, k = clip(3)
    found = network(images, k, 2, T_camera_map=poses, global_poses=global_poses)
    assert torch.equal(found.T_camera_map[:, 0], poses[:, 0])
    assert not torch.equal(found.T_camera_map[:, 1], poses[:, 1])
    se3.check_rigid(found.T_camera_map[0])
    assert torch.isfinite(found.depth).all()


def test_the_first_depth_matters_for_motion_alone(network: DeepV2D) -> None:
    images, poses, k = clip(3)
    far = torch.full((1, 1, 48, 64), 8.0)
    one = network(images, k, 1, T_camera_map=poses)
    other = network(images, k, 1, T_camera_map=poses, depth=far)
    assert not torch.equal(one.T_camera_map, other.T_camera_map)


def test_unknown_depth_leaves_the_poses(network: DeepV2D) -> None:
    images, poses, k = clip(2)
    found = network(images, k, 1, T_camera_map=poses, depth=torch.zeros(1, 1, 48, 64))
    assert found.solved.tolist() == [[True, False]]
    assert torch.equal(found.T_camera_map, poses)


@pytest.mark.parametrize(("iterations", "held"), [(-1, False), (1, True)])
def test_impossible_requests_are_refused(network: DeepV2D, iterations: int, held: bool) -> None:
    with pytest.raises(DepthError, match="DeepV2D: got"):
        network(*clip(2)[::2], iterations, held=held)


def test_poses_far_from_the_origin_keep_their_differences() -> None:
    poses = torch.eye(4).double().repeat(1, 2, 1, 1)
    poses[:, :, 0, 3] = torch.tensor([40000.0, 40000.1], dtype=torch.float64)
    assert float(relative_poses(poses)[0, 1, 0, 3]) == pytest.approx(-0.1, abs=1e-6)


def test_weights_come_back(network: DeepV2D, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_deepv2d(network, path, {"seed": "0"})
    again = load_deepv2d(path)
    assert path.stat().st_size < 5e6
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {"a": torch.zeros(3)}, {"architecture": "efficientnet_lite0"})
    with pytest.raises(DepthError, match="'efficientnet_lite0', expected one of deepv2d_paper"):
        load_deepv2d(path)
    write_weights(path, {"a": torch.zeros(3)}, {"architecture": "deepv2d_light"})
    with pytest.raises(DepthError, match="other tensors at a"):
        load_deepv2d(path)
    with pytest.raises(DepthError, match="no such file"):
        load_deepv2d(tmp_path / "none.safetensors")


def test_weights_that_are_no_numbers_are_refused(network: DeepV2D, tmp_path: Path) -> None:
    path, state = tmp_path / "w.safetensors", dict(network.state_dict())
    name = next(iter(state))
    state[name] = torch.full_like(state[name], torch.nan)
    write_weights(path, state, {"architecture": "deepv2d_light"})
    with pytest.raises(DepthError, match="NaN or infinite values in"):
        load_deepv2d(path)


def test_the_depth_loss_counts_known_depths_in_range() -> None:
    truth = torch.tensor([1.0, 0.0, 20.0, 4.0]).view(1, 1, 2, 2)
    found = torch.tensor([1.5, 9.0, 9.0, 3.0]).view(1, 1, 2, 2)
    loss = depth_loss([found], truth, 0.2, 10.0, smoothness=0.0)
    assert float(loss) == pytest.approx(0.75)
    both = depth_loss([found, found], truth, 0.2, 10.0, smoothness=0.0)
    assert float(both) == pytest.approx(1.5 * 0.75)
    assert float(depth_loss([found], torch.zeros_like(truth), 0.2, 10.0, 0.0)) == 0.0


def test_the_motion_loss_is_in_pixels_and_robust() -> None:
    images, poses, k = clip(2)
    depth = torch.full((1, 1, 48, 64), 2.0)
    moved = poses.clone()
    moved[:, 1, 0, 3] += 0.01  # 0.2 px in u, nothing in v
    value = float(motion_loss(moved, poses, depth, K))
    assert value == pytest.approx(0.5 * 0.2**2, rel=1e-3)
    moved[:, 1, 0, 3] += 0.99  # 20 px
    assert float(motion_loss(moved, poses, depth, K)) == pytest.approx(19.5, rel=1e-3)
    assert float(motion_loss(moved, poses, torch.zeros_like(depth), k)) == 0.0


def test_true_residual_flow_has_no_loss() -> None:
    _, poses, k = clip(2)
    depth = torch.full((1, 1, 48, 64), 2.0)
    moved = poses.clone()
    moved[:, 1, 0, 3] += 0.01
    residual = torch.zeros(1, 1, 2, 48, 64)
    residual[:, :, 0] = -0.2  # back to where the truth puts the pixels
    assert float(flow_loss(residual, moved, poses, depth, k)) == pytest.approx(0.0, abs=1e-4)
    assert float(flow_loss(0.0 * residual, moved, poses, depth, k)) == pytest.approx(0.2, rel=1e-3)
