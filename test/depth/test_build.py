"""The configured depth source."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.build import build_depth_source
from e2e_slam_ros.depth.network import NetworkDepth
from e2e_slam_ros.depth.sensor import SensorDepth
from e2e_slam_ros.depth.source import DepthSource

CPU = torch.device("cpu")


def test_sensor_is_the_default() -> None:
    source = build_depth_source(Config(), CPU)
    assert isinstance(source, SensorDepth) and isinstance(source, DepthSource)
    assert source.name == "sensor"


def test_network(weights: Path) -> None:
    config = Config().with_values(
        {
            "depth.source": "network",
            "depth.network.architecture": "disp_resnet18",
            "depth.network.checkpoint": str(weights),
        }
    )
    source = build_depth_source(config, CPU)
    assert isinstance(source, NetworkDepth) and isinstance(source, DepthSource)
    assert source.name == "network"


def test_network_without_weights_is_refused_at_once() -> None:
    values = {"depth.source": "network", "depth.network.architecture": "disp_resnet18"}
    with pytest.raises(DepthError, match="no weights"):
        build_depth_source(Config().with_values(values), CPU)
