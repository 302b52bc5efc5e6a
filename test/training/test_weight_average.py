"""The running mean of the weights."""

from __future__ import annotations

import torch

from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.training.weight_average import WeightAverage


def moved(network: LiteDepthNet, by: float) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(by)


def test_it_follows_slowly_and_ends_where_the_weights_stay() -> None:
    network = LiteDepthNet()
    start = network.disparity.bias.detach().clone()  # type: ignore[union-attr]
    average = WeightAverage(network, 0.9)
    moved(network, 1.0)
    average.update(network, 10_000)
    bias = average.module.disparity.bias  # type: ignore[union-attr]
    assert torch.allclose(bias, start + 0.1, atol=1e-6)
    for step in range(200):
        average.update(network, step)
    assert torch.allclose(bias, start + 1.0, atol=1e-5)


def test_without_decay_it_is_the_network_with_its_statistics() -> None:
    network = LiteDepthNet()
    average = WeightAverage(network, 0.0)
    network.train()(torch.rand(2, 3, 64, 64))
    moved(network, 0.3)
    average.update(network, 0)
    own = network.state_dict()
    assert all(torch.equal(v, own[n]) for n, v in average.module.state_dict().items())


def test_it_is_never_trained_itself() -> None:
    average = WeightAverage(LiteDepthNet().train(), 0.9)
    assert not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())
