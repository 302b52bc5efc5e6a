"""The configured depth source."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config import Config, parameters
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.checkpoint import save_weights
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.sensor import SensorDepth
from e2e_slam_ros.depth.source import DepthSource
from e2e_slam_ros.slam.depth_sources import build_depth_source, depth_traits, needs_depth_images

CPU = torch.device("cpu")


def test_sensor_is_the_default() -> None:
    source = build_depth_source(Config(), CPU)
    assert isinstance(source, SensorDepth) and isinstance(source, DepthSource)
    assert source.traits == depth_traits(Config())


def test_network(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = save_weights(DispResNet18(), tmp_path / "w.safetensors", {}, half=False)
    config = Config().with_values(
        {
            "depth.source": "network",
            "depth.network.architecture": "disp_resnet18",
            "depth.network.checkpoint": str(weights),
        }
    )
    source = build_depth_source(config, CPU)
    assert isinstance(source, NetworkDepth) and isinstance(source, DepthSource)
    assert source.traits.name == "network"


def test_network_without_weights_is_refused_at_once() -> None:
    values = {"depth.source": "network", "depth.network.architecture": "disp_resnet18"}
    with pytest.raises(DepthError, match="no weights"):
        build_depth_source(Config().with_values(values), CPU)


def test_every_choice_of_the_parameter_has_a_source() -> None:
    (info,) = (info for info in parameters() if info.name == "depth.source")
    for name in info.choices:
        assert depth_traits(Config().with_values({"depth.source": name})).name == name


@pytest.mark.parametrize(
    ("source", "scale", "needed"),
    [
        ("sensor", "motion", True),
        ("network", "motion", False),
        ("network", "depth_topic", True),
        ("motion_stereo", "depth_topic", False),
    ],
)
def test_who_needs_depth_images(source: str, scale: str, needed: bool) -> None:
    values = {"depth.source": source, "refine.scale.source": scale}
    assert needs_depth_images(Config().with_values(values)) is needed
