"""Depth that is the mean with other keyframes, and the network's shape where motion is unsure."""

from __future__ import annotations

from dataclasses import replace

import torch

from e2e_slam_ros.config.refine import RefineConfig
from e2e_slam_ros.config.support import SupportConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe, KeyframeDecision, RawDepth
from e2e_slam_ros.data.keyframes import Keyframes, MappedKeyframe
from e2e_slam_ros.geometry.camera import PinholeCamera
from e2e_slam_ros.refine.confirmed import confirmed
from e2e_slam_ros.refine.depth_sigma import SigmaFactor
from e2e_slam_ros.refine.metric_depth import MetricDepth
from e2e_slam_ros.refine.network_shape import with_network_shape
from e2e_slam_ros.refine.scale_history import ScaleHistory

CAMERA = PinholeCamera(width=160, height=120, fx=150.0, fy=150.0, cx=79.5, cy=59.5)
SIZE = (1, 1, 120, 160)


def seen(index: int) -> Keyframe:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = 0.02 * index
    image, decision = torch.zeros(1, 3, 120, 160), KeyframeDecision(True, "first")
    return Keyframe(index, index, index, image, CAMERA, pose, None, decision)


def noisy_wall(index: int, sigma: float) -> DepthEstimate:
    """A wall at 2 m with smooth errors of its own."""
    generator = torch.Generator().manual_seed(index)
    coarse = sigma * torch.randn(1, 1, 6, 8, generator=generator)
    error = torch.nn.functional.interpolate(coarse, SIZE[-2:], mode="bicubic")
    stated = torch.full(SIZE, sigma)
    return DepthEstimate(2.0 * error.exp(), None, "network", "motion", stated)


def memory(*estimates: DepthEstimate, supported: bool = True) -> Keyframes:
    keyframes = Keyframes(capacity=20)
    weight = torch.ones(SIZE) if supported else None
    for index, estimate in enumerate(estimates):
        keyframes.add(MappedKeyframe(seen(index), None, estimate, motion_weight=weight))
    return keyframes


def error_of(estimate: DepthEstimate) -> float:
    return float((estimate.depth / 2.0).log().square().mean().sqrt())


def test_errors_of_one_keyframe_are_averaged_away() -> None:
    own = noisy_wall(9, 0.02)
    others = memory(*(noisy_wall(index, 0.02) for index in range(6)))
    result = confirmed(seen(9), own, others, SupportConfig()).mean
    assert error_of(result) < 0.65 * error_of(own)


def test_another_surface_moves_nothing() -> None:
    own = noisy_wall(9, 0.02)
    behind = replace(own, depth=torch.full(SIZE, 3.0))
    result = confirmed(seen(9), own, memory(behind, behind, behind), SupportConfig()).mean
    assert error_of(result) < 1.2 * error_of(own)


def test_depth_without_a_deviation_or_without_motion_moves_nothing() -> None:
    own, config = noisy_wall(9, 0.02), SupportConfig()
    unsaid = [replace(noisy_wall(index, 0.02), sigma=None) for index in range(3)]
    alone = [noisy_wall(index, 0.02) for index in range(3)]
    for others in (memory(*unsaid), memory(*alone, supported=False)):
        result = confirmed(seen(9), own, others, config).mean
        assert torch.equal(result.depth, own.depth)
    bare = replace(own, sigma=None)
    assert torch.equal(confirmed(seen(9), bare, memory(*alone), config).mean.depth, bare.depth)


def test_the_networks_shape_fills_what_motion_is_unsure_of() -> None:
    wall = torch.full(SIZE, 2.0)
    corrected, sigma = wall.clone(), torch.full(SIZE, 0.02)
    corrected[..., 40:52], sigma[..., 40:52] = 2.5, 0.3
    # The network knows the shape and not the scale.
    result = with_network_shape(corrected, sigma, 1.4 * wall)
    assert float((result - 2.0).abs().max()) < 0.1
    # It is wrong where motion is sure: motion stays.
    slanted = wall * torch.linspace(0.5, 1.5, 160)
    result = with_network_shape(wall, torch.full(SIZE, 0.02), slanted)
    assert float((result - 2.0).abs().max()) < 0.02


def test_unknown_depth_stays_unknown_and_finite() -> None:
    corrected, network = torch.full(SIZE, 2.0), torch.full(SIZE, 1.0)
    corrected[..., :9], network[..., 5:20] = 0.0, 0.0
    result = with_network_shape(corrected, torch.full(SIZE, 0.1), network)
    assert bool(torch.isfinite(result).all())
    assert torch.equal(result > 0, corrected > 0)
    nothing = with_network_shape(corrected, torch.full(SIZE, 0.1), torch.zeros(SIZE))
    assert torch.equal(nothing, corrected)


def test_the_networks_shape_counts_where_it_is_right() -> None:
    """It is right about the wall and wrong about what stands before it."""
    true = torch.full(SIZE, 2.0)
    true[..., 80:] = 1.0
    network = true.clone()
    network[..., 80:] *= 1.0 + 0.4 * torch.sin(torch.arange(80) / 2.0)
    dots = torch.zeros(SIZE)
    dots[..., ::4, ::4] = 1.0
    # Motion is unsure of single pixels, and 20 % off there.
    corrected, sigma = true * (1.0 + 0.2 * dots), 0.02 + 0.18 * dots
    off = (with_network_shape(corrected, sigma, network) / true - 1.0).abs()[..., ::4, ::4]
    assert float(off[..., :16].mean()) < 0.05
    assert float(off[..., 24:].mean()) > 0.15
    assert float(off[..., 24:].mean()) < 0.21


def test_map_and_memory_get_each_keyframes_own_depth() -> None:
    own, mean = noisy_wall(9, 0.02), noisy_wall(8, 0.01)
    metric = MetricDepth(
        seen(9), own, mean, ScaleHistory(), RefineConfig(), SigmaFactor(), own=own
    )
    assert metric.mapped is own and metric.estimate is mean
    raw = RawDepth(own.depth, None, "network", "network")
    assert metric.remembered(raw, ()).estimate is own
    assert replace(metric, own=None).mapped is mean
