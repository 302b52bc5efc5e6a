"""Keyframes and network weights for the depth tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.data.keyframe import Keyframe, KeyframeDecision
from e2e_slam_ros.depth.disp_resnet import DispResNet18
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
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = DispResNet18()
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0.0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture(scope="session")
def weights(network: DispResNet18, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network's weights in the format the authors publish."""
    path = tmp_path_factory.mktemp("weights") / "dispnet_model_best.pth.tar"
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, path)
    return path
