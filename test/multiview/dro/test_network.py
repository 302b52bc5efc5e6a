"""The network: its sizes, its alternation, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError, E2ESlamError
from e2e_slam_ros.multiview.dro.network import DroNetwork
from e2e_slam_ros.multiview.dro.shape import LIGHT, PAPER, shape_of
from e2e_slam_ros.multiview.dro.views import FARTHEST_M, NEAREST_M, DepthGuide, DroViews

K = torch.tensor([[64.0, 0, 31.5], [0, 64, 23.5], [0, 0, 1]])


def views_of(count: int = 3, batch: int = 1, size: tuple[int, int] = (48, 64)) -> DroViews:
    image = torch.rand(batch, count, 3, *size, generator=torch.Generator().manual_seed(0))
    return DroViews(image, K.expand(batch, count, 3, 3))


def poses_of(neighbours: int = 2, batch: int = 1) -> torch.Tensor:
    T = torch.eye(4).repeat(batch, neighbours, 1, 1)
    T[..., 0, 3] = 0.1
    return T


def guide_of(depth: float = 3.0) -> DepthGuide:
    full = torch.full((1, 1, 48, 64), depth)
    return DepthGuide(full, full, full, torch.ones_like(full))


def stirred(network: DroNetwork) -> DroNetwork:
    """Replace the zeros of the last layers, so that updates are not 0."""
    for head in (network.depth_optimiser.head, network.pose_optimiser.head, network.pose_head):
        torch.nn.init.normal_(head.out.weight, std=0.02)
    return network.eval()


@pytest.mark.parametrize(("iterations", "stages"), [(0, 1), (4, 2), (6, 3), (8, 3), (12, 4)])
@torch.inference_mode()
def test_each_stage_is_four_updates(iterations: int, stages: int) -> None:
    found = DroNetwork(LIGHT).eval()(views_of(), iterations)
    assert len(found) == stages
    for stage in found:
        assert stage.depth.shape == (1, 1, 48, 64) and stage.T_i_0.shape == (1, 2, 4, 4)


@pytest.mark.parametrize("neighbours", [1, 2, 5])
@torch.inference_mode()
def test_any_number_of_neighbours(neighbours: int) -> None:
    found = DroNetwork(LIGHT).eval()(views_of(neighbours + 1, batch=2), 4)
    assert found[-1].T_i_0.shape == (2, neighbours, 4, 4)


@torch.inference_mode()
def test_the_papers_network_takes_features_at_an_eighth() -> None:
    network = DroNetwork(PAPER).eval()
    assert network.base(torch.zeros(1, 3, 64, 96)).shape == (1, PAPER.features, 8, 12)
    assert network.context(torch.zeros(1, 3, 64, 96)).shape == (1, 2 * PAPER.hidden, 8, 12)
    assert network(views_of(), 4)[-1].depth.shape == (1, 1, 48, 64)


def test_numbers_of_parameters() -> None:
    def millions(network: torch.nn.Module) -> float:
        return sum(p.numel() for p in network.parameters()) / 1e6

    paper, light = DroNetwork(PAPER), DroNetwork(LIGHT)
    # ResNet-18 has 0.683 M parameters up to 1/8 of the image (He et al. 2016, table 1).
    assert 0.68 < millions(paper.base) < 0.72
    assert 0.5 < millions(light) < 0.6
    assert 5.5 < millions(paper) < 6.5
    # The gates: 2 x (hidden + inputs) x 5 x hidden for the row, and a column of the same size.
    inputs = 2 * PAPER.projected + PAPER.hidden
    row = 3 * PAPER.hidden * ((PAPER.hidden + inputs) * 5 + 1)
    column = 2 * PAPER.hidden * (2 * PAPER.hidden * 5 + 1) + PAPER.hidden * (PAPER.hidden * 5 + 1)
    assert sum(p.numel() for p in paper.depth_optimiser.gru.parameters()) == row + column


@torch.inference_mode()
def test_an_untrained_optimiser_changes_nothing() -> None:
    stages = DroNetwork(LIGHT).eval()(views_of(), 8, poses_of(), guide_of())
    assert torch.allclose(stages[0].depth, torch.full_like(stages[0].depth, 3.0), atol=1e-4)
    assert torch.allclose(stages[-1].depth, stages[0].depth)


@torch.inference_mode()
def test_known_poses_are_held_and_unknown_ones_move() -> None:
    network = stirred(DroNetwork(LIGHT))
    held = network(views_of(), 8, poses_of())
    assert all(torch.equal(stage.T_i_0, poses_of()) for stage in held)
    assert not torch.allclose(held[0].log_depth, held[-1].log_depth)
    free = network(views_of(), 8)
    assert not torch.allclose(free[0].T_i_0, free[-1].T_i_0)


@torch.inference_mode()
def test_neighbours_are_independent_of_their_order() -> None:
    network, views, T = stirred(DroNetwork(LIGHT)), views_of(3), poses_of()
    T[0, 1, 1, 3] = 0.2
    order = torch.tensor([0, 2, 1])
    swapped = DroViews(views.image[:, order], views.intrinsics)
    depth = network(views, 8, T)[-1].log_depth
    assert torch.allclose(depth, network(swapped, 8, T.flip(1))[-1].log_depth, atol=1e-4)
    free, turned = network(views, 4)[-1], network(swapped, 4)[-1]
    assert torch.allclose(free.T_i_0, turned.T_i_0.flip(1), atol=1e-4)


@torch.inference_mode()
def test_it_ends_early_when_nothing_changes() -> None:
    network = DroNetwork(LIGHT).eval()
    assert len(network(views_of(), 12, poses_of(), guide_of(), least_change=1e-3)) == 2
    assert len(stirred(network)(views_of(), 12, poses_of(), least_change=1e-9)) == 4


@torch.inference_mode()
def test_views_without_overlap_leave_finite_answers() -> None:
    T = poses_of()
    T[..., 2, 3] = -100.0
    stages = stirred(DroNetwork(LIGHT))(views_of(), 12, T, guide_of())
    assert stages[-1].depth.isfinite().all()


@torch.inference_mode()
def test_depth_stays_in_its_range() -> None:
    network = DroNetwork(LIGHT).eval()
    for push, limit in ((10.0, FARTHEST_M), (-10.0, NEAREST_M)):
        torch.nn.init.constant_(network.depth_optimiser.head.out.bias, push)
        depth = network(views_of(), 4, poses_of(), guide_of())[-1].depth
        assert torch.allclose(depth, torch.full_like(depth, limit), rtol=1e-3)
    far = replace(guide_of(), start=torch.full((1, 1, 48, 64), 1e6))
    assert network(views_of(), 0, poses_of(), far)[0].depth.max() < 1.01 * FARTHEST_M


BAD: list[tuple[str, Callable[[DroNetwork], object]]] = [
    ("at least two views", lambda n: n(views_of(1))),
    ("multiples of 16", lambda n: n(views_of(size=(40, 64)))),
    ("one for each view", lambda n: n(DroViews(views_of().image, K.expand(1, 2, 3, 3)))),
    ("64x48", lambda n: n(DroViews(views_of().image, 10.0 * K.expand(1, 3, 3, 3)))),
    ("0 or more", lambda n: n(views_of(), -1)),
    ("no distance", lambda n: n(views_of(), 4, torch.eye(4).expand(1, 2, 4, 4))),
    ("one for each neighbour", lambda n: n(views_of(), 4, poses_of(3))),
    ("rigid", lambda n: n(views_of(), 4, 2.0 * poses_of())),
    ("above 0", lambda n: n(views_of(), 4, poses_of(), guide_of(0.0))),
    ("above 0", lambda n: n(views_of(), 4, poses_of(), guide_of(float("nan")))),
]


@pytest.mark.parametrize(("words", "call"), BAD)
def test_what_cannot_be_used_is_refused(words: str, call: Callable[[DroNetwork], object]) -> None:
    with pytest.raises(E2ESlamError, match=words):
        call(DroNetwork(LIGHT))


def test_an_unknown_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match="one of paper, light"):
        shape_of("huge")


def test_one_refused_call_leaves_the_network_as_it_was() -> None:
    network = DroNetwork(LIGHT).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(DepthError):
        network(views_of(1))
    assert all(torch.equal(before[n], v) for n, v in network.state_dict().items())
