"""Keyframes and network weights for the depth tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.geometry.camera import PinholeCamera

MakeKeyframe = Callable[..., Keyframe]


@pytest.fixture(scope="session")
def make_keyframe() -> MakeKeyframe:
    """Return a function that makes a keyframe with a random image and the given sensor depth."""

    def make(
        width: int = 64, height: int = 48, sensor_depth: torch.Tensor | None = None
    ) -> Keyframe:
        return Keyframe(
            index=7,
            frame_index=21,
            stamp_ns=1_234_500_000,
            image=torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)),
            camera=PinholeCamera(width, height, width, width, width / 2, height / 2),
            T_map_camera=torch.eye(4, dtype=torch.float64),
            sensor_depth=sensor_depth,
            decision=KeyframeDecision(True, "first"),
        )

    return make


@pytest.fixture(scope="session")
def network() -> DispResNet18:
    """A network with random weights and normalisation statistics, in evaluation mode."""
    network = _random(5, "disp_resnet18")
    assert isinstance(network, DispResNet18)
    return network


@pytest.fixture(scope="session")
def lite() -> LiteDepthNet:
    """The light network with random weights and normalisation statistics, in evaluation mode."""
    network = _random(6, "efficientnet_lite0")
    assert isinstance(network, LiteDepthNet)
    # Fresh heads say nearly the same everywhere.
    torch.nn.init.normal_(
        network.disparity.weight, std=0.1, generator=torch.Generator().manual_seed(6)
    )
    return network


@pytest.fixture(scope="session")
def weights(network: DispResNet18, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's weights in the format the authors publish."""
    path = tmp_path_factory.mktemp("weights") / "dispnet_model_best.pth.tar"
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def lite_weights(lite: LiteDepthNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The light network's weights in our format."""
    folder = tmp_path_factory.mktemp("weights")
    return save_weights(lite, folder / "lite.safetensors", {"seed": "6"}, half=False)


def _random(seed: int, architecture: str) -> DepthNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_network(architecture)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0.0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return network.eval()
