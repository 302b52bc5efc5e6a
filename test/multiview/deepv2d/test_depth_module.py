"""The depth module: its identities, its sizes, its memory's shape, and bad input."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.multiview.deepv2d.architecture import LIGHT, PAPER
from e2e_slam_ros.multiview.deepv2d.blocks import Hourglass, Pointwise, Volume3d
from e2e_slam_ros.multiview.deepv2d.cost_volume import (
    backprojected,
    group_correlation,
    plane_depths,
)
from e2e_slam_ros.multiview.deepv2d.depth_module import DepthModule, quarter_intrinsics
from e2e_slam_ros.multiview.deepv2d.matching_network import MatchingNetwork, soft_argmax
from multiview.test_plane_sweep import CAMERA, view
from synthetic import pose

K = torch.tensor([[[40.0, 0.0, 31.5], [0.0, 40.0, 23.5], [0.0, 0.0, 1.0]]])


def clip(views: int, shift: float = 0.05) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    poses = torch.eye(4).repeat(1, views, 1, 1)
    poses[0, :, 0, 3] = -shift * torch.arange(views)
    return torch.rand(1, views, 3, 48, 64, generator=generator), poses, K


@pytest.fixture(scope="module")
def module() -> DepthModule:
    torch.manual_seed(0)
    return DepthModule(LIGHT).eval()


def test_soft_argmax_of_a_sure_plane_is_its_depth_and_of_none_the_mean() -> None:
    planes = plane_depths(PAPER)
    index = torch.arange(32).repeat(2, 1)[:, :24].reshape(1, 1, 6, 8)
    sure = torch.zeros(1, 32, 6, 8).scatter(1, index, 100.0)
    torch.testing.assert_close(soft_argmax(sure, planes), planes[index])
    torch.testing.assert_close(
        soft_argmax(torch.zeros(1, 32, 2, 2), planes), planes.mean().expand(1, 1, 2, 2)
    )
    # Shifting all logits changes nothing; two equal planes give their mean.
    torch.testing.assert_close(soft_argmax(sure + 7.0, planes), soft_argmax(sure, planes))
    two = torch.zeros(1, 32, 1, 1)
    two[0, 3:5] = 100.0
    assert float(soft_argmax(two, planes)) == pytest.approx(float(planes[3:5].mean()), rel=1e-5)


def test_without_motion_every_plane_shows_the_features_themselves() -> None:
    features = torch.rand(1, 5, 12, 16)
    volume, inside = backprojected(features, torch.eye(4)[None], K, plane_depths(LIGHT))
    torch.testing.assert_close(volume, features[:, :, None].expand_as(volume), rtol=0, atol=1e-5)
    assert inside.min() > 0.999


def test_a_turn_without_translation_moves_all_planes_alike() -> None:
    features = torch.rand(1, 2, 12, 16)
    volume, _ = backprojected(features, pose(yaw_deg=5.0)[None].float(), K, plane_depths(LIGHT))
    torch.testing.assert_close(volume, volume[:, :, :1].expand_as(volume), rtol=0, atol=1e-4)


def test_the_true_plane_shows_the_same_picture() -> None:
    """A wall at 2 m: there, and only there, both views' pixels agree."""
    left, right = view(0, pose()), view(1, pose(x=0.15))
    T = (torch.linalg.inv(right.T_map_camera) @ left.T_map_camera)[None]
    planes = torch.tensor([1.0, 1.5, 2.0, 3.0, 6.0])
    k = CAMERA.matrix()[None]
    volume, inside = backprojected(right.image, T, k, planes)
    error = ((volume - left.image[:, :, None]).abs() * inside).mean((0, 1, 3, 4))
    assert int(error.argmin()) == 2 and error[2] < 0.05 * error[[0, 1, 3, 4]].min()


def test_gradients_of_the_volume_reach_features_pose_and_planes() -> None:
    features = torch.rand(1, 2, 5, 6, dtype=torch.float64)
    k = torch.tensor([[[5.0, 0, 2.5], [0, 5, 2.0], [0, 0, 1]]], dtype=torch.float64)
    T = pose(x=0.11, y=0.03, yaw_deg=2.0)[None]
    planes = torch.tensor([0.9, 2.1], dtype=torch.float64)

    def volume(f: torch.Tensor, shift: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        moved = torch.cat([T[:, :3, :3], (T[:, :3, 3] + shift)[..., None]], dim=-1)
        moved = torch.cat([moved, T[:, 3:]], dim=1)
        return backprojected(f, moved, k, z)[0]

    zero = torch.zeros(1, 3, dtype=torch.float64)
    inputs = tuple(x.requires_grad_() for x in (features, zero, planes))
    assert torch.autograd.gradcheck(volume, inputs, eps=1e-7, atol=1e-5)


def test_correlation_of_one_group_is_the_mean_product() -> None:
    key, volume = torch.rand(1, 6, 4, 5), torch.rand(1, 6, 3, 4, 5)
    expected = (key[:, :, None] * volume).mean(1, keepdim=True)
    torch.testing.assert_close(group_correlation(key, volume, 1), expected)


def test_view_pooling_is_a_mean_in_any_order(module: DepthModule) -> None:
    images, poses, k = clip(4)
    with torch.inference_mode():
        one = module(images, poses, k).depth
        order = [0, 3, 1, 2]
        torch.testing.assert_close(
            module(images[:, order], poses[:, order], k).depth, one, rtol=1e-4, atol=1e-4
        )
        doubled = [0, 1, 1]  # the same view twice says what it says once
        torch.testing.assert_close(
            module(images[:, doubled], poses[:, doubled], k).depth,
            module(images[:, :2], poses[:, :2], k).depth,
            rtol=1e-4,
            atol=1e-4,
        )


def test_volumes_are_made_one_after_the_other_and_again_for_gradients() -> None:
    network = MatchingNetwork(LIGHT)
    made: list[int] = []

    def maker(index: int) -> torch.Tensor:
        made.append(index)
        return torch.zeros(1, network.coming, 32, 4, 4)

    makers = [lambda i=i: maker(i) for i in range(3)]
    with torch.inference_mode():
        network(makers)
    assert made == [0, 1, 2]
    network(makers)[-1].sum().backward()
    assert sorted(made[3:]) == [0, 0, 1, 1, 2, 2]


def test_checkpointing_does_not_change_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module, (images, poses, k) = DepthModule(LIGHT), clip(3)
    grads = []
    for plain in (False, True):
        module.zero_grad()
        if plain:
            monkeypatch.setattr(module.matching, "_matched", module.matching._weighted)
        module(images, poses, k).depth.mean().backward()
        grads.append([p.grad.clone() for p in module.parameters() if p.grad is not None])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other)


def test_a_new_network_counts_all_views_alike_and_can_learn_to_leave_one_out() -> None:
    network = MatchingNetwork(LIGHT).eval()
    one, other = (torch.rand(1, network.coming, 32, 4, 4) for _ in range(2))
    one[:, -1], other[:, -1] = 1.0, 1.0  # both see everything
    weight = network.view_weight
    assert weight is not None and weight.bias is not None
    with torch.inference_mode():
        total = sum(network.each_view(volume) for volume in (one, other))
        plain = network.heads[0](network.hourglasses[0](network.pooled(total / 2)))
        torch.testing.assert_close(network([lambda: one, lambda: other])[0], plain.squeeze(1))
        # A view of weight 0 has no say, as if it were not given.
        weights = iter((20.0, -40.0))
        weight.register_forward_hook(lambda *_: torch.full((1, 1, 32, 4, 4), next(weights)))
        both = network([lambda: one, lambda: other])[0]
        weights = iter((20.0,))
        alone = network([lambda: one])[0]
    torch.testing.assert_close(both, alone)


def test_a_view_has_no_say_where_it_sees_nothing_unless_no_view_does() -> None:
    network = MatchingNetwork(LIGHT).eval()
    one, other = (torch.rand(1, network.coming, 32, 4, 4) for _ in range(2))
    one[:, -1], other[:, -1] = 1.0, 0.0
    with torch.inference_mode():
        mixed, alone = (network(v)[0] for v in ([lambda: one, lambda: other], [lambda: one]))
        torch.testing.assert_close(mixed, alone, rtol=0, atol=1e-2 * float(alone.abs().max()))
        one[:, -1] = 0.0
        both, blind = (network(v)[0] for v in ([lambda: one, lambda: one], [lambda: one]))
    torch.testing.assert_close(both, blind)
    assert torch.isfinite(both).all() and both.std() > 0


def test_the_published_sizes() -> None:
    """What the paper's text says: widths, hourglasses, joined features, planes, outputs."""
    module = DepthModule(PAPER)
    glasses = [m for m in module.encoder.hourglasses if isinstance(m, Hourglass)]
    assert len(glasses) == 2 and _widths(glasses[0]) == [64, 128, 192, 256]
    assert all(_widths(g) == [32, 80, 128, 176] for g in module.matching.hourglasses)
    assert module.matching.coming == 2 * PAPER.features + 1
    planes = plane_depths(PAPER)
    assert (float(planes[0]), float(planes[-1])) == (pytest.approx(0.2), 10.0)
    first = module.matching.each_view[0]
    assert isinstance(first[0], Pointwise)  # type: ignore[index]
    assert first[0].weight.shape == (32, 65)  # type: ignore[index]


def test_parameter_counts() -> None:
    """Recorded, so that a change is noticed: the paper gives no numbers to compare with."""
    counts = [sum(p.numel() for p in DepthModule(a).parameters()) for a in (PAPER, LIGHT)]
    assert counts == [14_332_290, 775_633] or counts == [14_332_322, 775_635]


def _widths(glass: Hourglass) -> list[int]:
    own = glass.across.second[0].out_channels  # type: ignore[index]
    return [own, *(_widths(glass.inner) if isinstance(glass.inner, Hourglass) else [])]


def test_every_hourglass_gives_a_depth_within_the_planes(module: DepthModule) -> None:
    found = module(*clip(2))
    assert len(found.depths) == LIGHT.volumes
    for depth in found.depths:
        assert depth.shape == (1, 1, 48, 64)
        assert depth.min() >= 0.999 * LIGHT.near_m and depth.max() <= 1.001 * LIGHT.far_m
    assert found.confidence.min() >= 0.0 and found.confidence.max() <= 1.0


@pytest.mark.parametrize("what", ["no baseline", "no overlap", "behind"])
def test_views_that_say_nothing_are_no_error(module: DepthModule, what: str) -> None:
    images, poses, k = clip(3, shift=0.0)
    if what == "no overlap":
        poses[0, 1:, 0, 3] = 1000.0
    elif what == "behind":
        poses[0, 1:, 2, 3] = -50.0
    with torch.inference_mode():
        found = module(images, poses, k)
    assert torch.isfinite(found.depth).all() and (found.depth > 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("one view", "got 1 view, expected at least 2"),
        ("poses", "a pose for each image"),
        ("size", "multiples of 4"),
        ("small", "at least 32"),
        ("intrinsics", "a centre inside an image of 64x48"),
        ("focal", "scale the intrinsics"),
    ],
)
def test_bad_clips_are_refused(module: DepthModule, change: str, message: str) -> None:
    images, poses, k = clip(2)
    if change == "one view":
        images, poses = images[:, :1], poses[:, :1]
    elif change == "poses":
        poses = poses[:, :1]
    elif change == "size":
        images = images[..., :-2]
    elif change == "small":
        images = images[..., :16, :]
    elif change == "intrinsics":  # of an image of 320x240
        k = k * torch.tensor([5.0, 5.0, 1.0])[:, None]
    else:
        k = k * torch.tensor([-1.0, 1.0, 1.0])[:, None]
    with pytest.raises(DepthError, match=message):
        module(images, poses, k)


def test_quarter_intrinsics_are_those_of_resized_images() -> None:
    resized = CAMERA.resized(40, 30).matrix()[None]
    torch.testing.assert_close(quarter_intrinsics(CAMERA.matrix()[None]), resized)


def test_fast_layers_are_torchs_own() -> None:
    x = torch.randn(1, 6, 3, 5, 4)
    volume = Volume3d(6, 4, 3, padding=1)
    plain = nn.Conv3d(6, 4, 3, padding=1)
    plain.load_state_dict(volume.state_dict())
    torch.testing.assert_close(volume(x), plain(x))
    point = Pointwise(6, 4)
    expected = nn.functional.conv3d(
        x,
        point.weight[:, :, None, None, None],
        point.bias.flatten(),  # type: ignore[union-attr]
    )
    torch.testing.assert_close(point(x), expected)
