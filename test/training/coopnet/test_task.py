"""Runs of CoopNet that begin with given weights, and what divides its sums."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.depth.weights_file import write_weights
from e2e_slam_ros.geometry import se3
from e2e_slam_ros.geometry.projection import pixel_grid
from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.training.coopnet.config import CoopNetConfig
from e2e_slam_ros.training.coopnet.model import CoopNetModel, still_flow
from e2e_slam_ros.training.coopnet.networks import FlowMotionNet, SearchedFlow
from e2e_slam_ros.training.coopnet.task import CoopNetTask
from e2e_slam_ros.training.deepv2d.clip_batch import ClipBatch
from e2e_slam_ros.training.precision import Precision
from training.running import context_of

K = torch.tensor([[[60.0, 0.0, 31.5], [0.0, 60.0, 31.5], [0.0, 0.0, 1.0]]])


def task_from(path: Path) -> CoopNetTask:
    return CoopNetTask(CoopNetConfig(initial_weights=str(path)), context_of())


def clip(shift_m: float = 0.1) -> ClipBatch:
    """Two random pictures of a wall 2 m away; the camera moves to the right."""
    generator = torch.Generator().manual_seed(0)
    poses = torch.eye(4).repeat(1, 2, 1, 1)
    poses[0, 1, 0, 3] = -shift_m
    depth = torch.full((1, 2, 1, 64, 64), 2.0)
    image = torch.rand(1, 2, 3, 64, 64, generator=generator)
    return ClipBatch(image, depth, K, poses, depth < 0, torch.zeros(1, 2, 6))


def test_a_run_begins_with_the_weights_that_another_wrote(tmp_path: Path) -> None:
    first = CoopNetTask(CoopNetConfig(), context_of())
    written = first.build_modules(fresh=True).result
    first.export(written, tmp_path / "weights.safetensors", {})
    torch.manual_seed(1)
    begun = task_from(tmp_path / "weights.safetensors").build_modules(fresh=True).result
    for name, value in written.state_dict().items():
        assert torch.equal(begun.state_dict()[name], value)


@pytest.mark.parametrize("bad", ["another network", "not a number", "no file"])
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "weights.safetensors"
    state = dict(CoopNetModel(CoopNetConfig(), Precision("cpu", None)).state_dict())
    if bad == "another network":
        state.popitem()
    elif bad == "not a number":
        name = next(iter(state))
        state[name] = state[name] * float("nan")
    if bad != "no file":
        write_weights(path, state, {})
    with pytest.raises(DepthError, match="weights") as refusal:
        task_from(path).build_modules(fresh=True)
    assert str(path) in str(refusal.value)
    # A run that goes on has weights of its own.
    task_from(path).build_modules(fresh=False)


@pytest.mark.parametrize("selection", ["mode", "min"])
def test_over_all_valid_pixels_an_error_is_its_mean_times_its_share(selection: str) -> None:
    parts = {}
    for over in ("valid", "chosen"):
        torch.manual_seed(0)
        model = CoopNetModel(
            CoopNetConfig(selection=selection, mean_over=over), Precision("cpu", None)
        )
        parts[over] = model(clip(), "together").parts
    valid, chosen = parts["valid"], parts["chosen"]
    assert float(valid["share_depth"]) == float(chosen["share_depth"]) < 1.0
    assert float(valid["photometric_depth"]) < float(chosen["photometric_depth"])
    assert float(valid["epipolar"]) == float(chosen["epipolar"])


def test_the_flow_of_a_wall_is_that_of_its_disparity() -> None:
    flow, seen = still_flow(clip())
    # 60 px * 0.1 m / 2 m to the left; the first three columns leave the image.
    expected = torch.tensor([-3.0, 0.0]).view(1, 2, 1, 1).expand_as(flow)
    torch.testing.assert_close(torch.where(seen, flow, expected), expected, rtol=0, atol=1e-4)
    assert not seen[..., :3].any() and seen[..., 4:].all()


@pytest.mark.parametrize("motion", ["flow", "images"])
@pytest.mark.parametrize("depth", ["package", "small"])
def test_every_part_learns_in_every_choice_of_networks(depth: str, motion: str) -> None:
    config = CoopNetConfig(depth_network=depth, motion_from=motion)
    modules = CoopNetTask(config, context_of()).build_modules(fresh=True)
    assert (modules.encoder is not None) == (depth == "package")
    for stage in ("labelled", "together"):
        modules.trained.zero_grad()
        modules.trained(clip(), stage).total.backward()
        for part in ("depth_net", "flow_net", "motion_net"):
            gradients = [
                float(p.grad.abs().sum())
                for name, p in modules.trained.named_parameters()
                if name.startswith(part) and p.grad is not None
            ]
            assert gradients and max(gradients) > 0.0, part


def test_a_searched_flow_follows_a_shift_and_needs_no_training() -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.nn.functional.interpolate(
        torch.rand(1, 3, 16, 20, generator=generator), (64, 80), mode="bicubic"
    ).clamp(0, 1)
    flow = SearchedFlow()(wide[..., 4:68], wide[..., 2:66])
    assert flow.shape == (1, 2, 64, 64)
    expected = torch.tensor([2.0, 0.0]).view(1, 2, 1, 1)
    assert (flow - expected)[..., 8:-8, 8:-8].abs().mean() < 0.2
    config = CoopNetConfig(flow_network="search")
    model = CoopNetTask(config, context_of()).build_modules(fresh=True).trained
    assert not any(name.startswith("flow_net") for name in model.state_dict())
    model(clip(), "together").total.backward()


def test_a_given_motion_is_the_true_one() -> None:
    given = clip()
    model = CoopNetModel(CoopNetConfig(motion_from="given"), Precision("cpu", None))
    assert torch.equal(model.predict(given)[2], given.T_camera_map[:, 1])


def test_the_motion_of_a_true_flow_is_the_true_motion() -> None:
    generator = torch.Generator().manual_seed(1)
    blocks = 1.0 + 2.0 * torch.rand(1, 1, 16, 16, generator=generator)
    depth = blocks.repeat_interleave(4, 2).repeat_interleave(4, 3)
    true = se3.exp(torch.tensor([[0.06, -0.02, 0.03, 0.01, 0.02, -0.01]]))
    uv = inverse_warp(torch.zeros(1, 3, 64, 64), depth, true, K, K).uv
    found = FlowMotionNet()(uv - pixel_grid(64, 64), depth, K)
    torch.testing.assert_close(found, true, rtol=0, atol=5e-3)


def test_the_packages_network_keeps_its_norms() -> None:
    model = CoopNetModel(CoopNetConfig(), Precision("cpu", None)).train()
    before = {n: b.clone() for n, b in model.depth_net.named_buffers()}
    model(clip(), "together")
    assert all(torch.equal(before[n], b) for n, b in model.depth_net.named_buffers())


def test_sizes_that_the_packages_network_does_not_take_are_refused() -> None:
    with pytest.raises(ConfigError, match="multiples of 32"):
        CoopNetConfig().with_values({"clips.height": 48})
    CoopNetConfig().with_values({"clips.height": 48, "depth_network": "small"})
