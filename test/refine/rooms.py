"""The wall of `scene` as camera frames, and a depth source with a small network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from e2e_slam_ros.config import Config
from e2e_slam_ros.data.frame import Frame
from e2e_slam_ros.data.keyframe import Keyframe, RawDepth
from e2e_slam_ros.data.keyframes import Keyframes, KeyframeViews
from e2e_slam_ros.depth import network
from e2e_slam_ros.depth.source import DepthSource, DepthTraits, DepthUnit
from e2e_slam_ros.refine.depth_stage import DepthStage
from e2e_slam_ros.refine.metric_depth import MetricDepth
from e2e_slam_ros.slam.build_map import kept_keyframes
from refine.scene import CAMERA, WALL_M, TinyNetwork, wall_image


def wall_frame(index: int, x_m: float, black: bool = False) -> Frame:
    """A camera frame in front of the wall, ten a second, 2 m away."""
    T = np.eye(4)
    T[0, 3] = x_m
    image = (wall_image(x_m)[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    return Frame(
        index=index,
        stamp_ns=(index + 1) * 100_000_000,
        image=np.zeros_like(image) if black else image,
        camera=CAMERA,
        depth=np.full((48, 64), WALL_M, dtype=np.float32),
        T_map_camera=T,
    )


def use_tiny_network(monkeypatch: pytest.MonkeyPatch, depth_m: float = 2.3) -> TinyNetwork:
    """Let ``depth.source: network`` load a network that says ``depth_m`` everywhere."""
    tiny = TinyNetwork(depth_m).eval()
    monkeypatch.setattr(TinyNetwork, "metric", True)
    monkeypatch.setattr(network, "load_shipped", lambda *_: tiny)
    return tiny


def network_config(**values: object) -> Config:
    """A configuration for the small network and small images."""
    small: dict[str, object] = {
        "depth.source": "network",
        "depth.network.width": 64,
        "depth.network.height": 64,
        "refine.network.learning_rate": 3e-3,
        "refine.guard.patience": 0,
        # Steps of 10 cm in front of a wall at 2 m that has next to no texture.
        "refine.motion.min_information": 0.0,
        "keyframe.min_sharpness": 0.0,
    }
    return Config().with_values(small | values)


class SaidDepth:
    """A depth source that says what it was told, in place of a network."""

    network = None

    def __init__(
        self, depth: torch.Tensor, name: str = "network", unit: DepthUnit = DepthUnit.ROUGH_METRES
    ) -> None:
        self.depth = depth
        self.traits = DepthTraits(name, unit)

    def estimate(self, keyframe: Keyframe, views: KeyframeViews) -> RawDepth:
        return RawDepth(self.depth, None, self.traits.name, "said")


class StagedWalk:
    """The depth stage with a memory of keyframes, as the pipeline drives it; without a map."""

    def __init__(self, config: Config, source: DepthSource) -> None:
        self.config, self.source = config, source
        self.stage = DepthStage(config, source, torch.device("cpu"))
        self.memory = Keyframes(kept_keyframes(config))

    def configure(self, **values: object) -> None:
        self.config = self.config.with_values(values)

    def step(self, keyframe: Keyframe) -> MetricDepth:
        keyframe = replace(keyframe, index=self.memory.next_index)
        raw = self.source.estimate(keyframe, self.memory)
        metric = self.stage(keyframe, raw, self.memory, self.config.refine)
        self.memory.add(metric.remembered(raw, ()))
        self.stage.keep(metric)
        return metric
