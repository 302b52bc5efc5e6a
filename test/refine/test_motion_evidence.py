"""What motion says of a network's depth: metres, smooth fields, no motion, other keyframes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from e2e_slam_ros.config import DepthConfig
from e2e_slam_ros.config.motion_evidence import MotionEvidenceConfig
from e2e_slam_ros.data.keyframe import DepthEstimate, Keyframe
from e2e_slam_ros.data.keyframes import MappedKeyframe
from e2e_slam_ros.refine.motion_evidence import MotionEvidence, chance
from e2e_slam_ros.refine.motion_sweep import sweep_neighbours
from e2e_slam_ros.refine.scale_fit import fit_scale
from multiview.test_plane_sweep import view
from synthetic import pose

WALL_M = 2.0
NETWORK = torch.full((1, 1, 120, 160), 0.7)


def gather(
    network: torch.Tensor | None, metres: list[float], config: MotionEvidenceConfig | None = None
) -> MotionEvidence | None:
    """Ask about a wall at 2 m, seen again from ``metres`` to the right."""
    sources = [view(i + 1, pose(x=x)) for i, x in enumerate(metres)]
    config = config or MotionEvidenceConfig()
    sweep = sweep_neighbours(view(0, pose()), sources, DepthConfig(), config)
    if sweep is None or network is None:
        return None if sweep is None else sweep.first
    return sweep.given(network)


@pytest.mark.parametrize("metres", [[], [0.001]])
def test_without_motion_nothing_is_said(metres: list[float]) -> None:
    assert gather(NETWORK, metres) is None


def test_nothing_is_said_where_images_have_nothing_in_common() -> None:
    noise = torch.rand(1, 3, 120, 160, generator=torch.Generator().manual_seed(0))
    flat = replace(view(0, pose()), image=torch.full_like(noise, 0.5))
    others = [replace(view(1, pose(x=0.2)), image=noise)]
    config = MotionEvidenceConfig()
    assert sweep_neighbours(flat, others, DepthConfig(), config) is None


def test_poses_are_not_believed_where_no_view_is_far_enough_away() -> None:
    sources = [view(i + 1, pose(x=x)) for i, x in enumerate([0.1, 0.15])]
    config = MotionEvidenceConfig()
    for typical_m, believed in ((2.0, True), (20.0, False), (None, True)):
        sweep = sweep_neighbours(
            view(0, pose()), sources, DepthConfig(), config, typical_m=typical_m
        )
        assert (sweep is not None) == believed


def test_errors_of_poses_count_the_more_the_smaller_the_parallax() -> None:
    """Given poses are hardly exact; what tracked ones state is enlarged."""

    def error(metres: float, sigma_rad: float | None = None) -> float:
        views = [view(i, pose(x=i * metres)) for i in range(2)]
        views = [replace(each, tracked_sigma_rad=sigma_rad) for each in views]
        sweep = sweep_neighbours(
            views[0], views[1:], DepthConfig(), MotionEvidenceConfig(), typical_m=2.0
        )
        assert sweep is not None
        return sweep.pose_error

    assert 0.01 < error(0.2) < 0.03
    assert error(0.4) == pytest.approx(0.5 * error(0.2), rel=1e-3)
    assert error(0.4, sigma_rad=0.001) > error(0.4)
    assert error(0.4, sigma_rad=0.002) == pytest.approx(2.0 * error(0.4, sigma_rad=0.001))


def test_labels_are_metric_and_give_a_network_its_scale() -> None:
    evidence = gather(NETWORK, [-0.2, 0.2])
    assert evidence is not None
    labels = evidence.labels(120, 160)
    known = labels.depth > 0
    assert known.float().mean() > 0.5
    assert (labels.depth[known] / WALL_M - 1).abs().median() < 0.02
    assert fit_scale(NETWORK, labels, 50).factor == pytest.approx(WALL_M / 0.7, rel=0.03)


@pytest.mark.parametrize("prior", [True, False])
def test_motion_corrects_a_network_pixel_by_pixel(prior: bool) -> None:
    u = torch.arange(160.0).expand(1, 1, 120, 160)
    network = NETWORK * torch.exp(0.2 * torch.sin(u / 40))
    config = MotionEvidenceConfig(own_error=0.0)
    evidence = gather(network if prior else None, [-0.2, 0.2], config)
    assert evidence is not None
    start = network * fit_scale(network, evidence.labels(120, 160)).factor
    depth, confidence = evidence.complete(start)
    assert (start / WALL_M - 1).abs().mean() > 0.08
    assert (depth / WALL_M - 1).abs().mean() < 0.02
    assert confidence.median() > 0.5


def test_between_what_motion_knows_the_networks_shape_remains() -> None:
    """Evidence on one half only: the other keeps its step, in the metres of the first."""
    u = torch.arange(160.0).expand(1, 1, 120, 160)
    shape = torch.where(u < 120, 1.0, 1.5)
    known = (u[..., ::1] < 80).float()
    evidence = MotionEvidence(
        2.0 * torch.where(u < 80, 1.0, 3.0), known, smoothing=0.0, own_error=0.0
    )
    depth, confidence = evidence.complete(1.95 * shape)
    torch.testing.assert_close(depth, 2.0 * shape, rtol=0.02, atol=0)
    assert confidence[..., :60].min() > 0.9
    assert confidence[..., 110:].max() < 0.2


def test_a_network_that_fits_as_well_as_motion_can_tell_is_left_alone() -> None:
    every = torch.ones(1, 1, 120, 160)
    for offset, kept in ((1.04, 1.0), (1.5, 1.02)):
        evidence = MotionEvidence(2.0 * every, every, smoothing=0.05, own_error=0.05)
        depth, _ = evidence.complete(offset * 2.0 * every, network_sigma=0.04)
        wanted = offset * 2.0 * every if kept == 1.0 else 2.0 * every
        torch.testing.assert_close(depth, wanted, rtol=0.02, atol=0)


def test_unknown_pixels_of_the_network_are_completed_too() -> None:
    evidence = MotionEvidence(
        torch.full((1, 1, 120, 160), 2.0), torch.ones(1, 1, 120, 160), 0.05, 0.0
    )
    network = NETWORK.clone()
    network[..., :10, :10] = 0.0
    for given in (1.3 * network, torch.zeros_like(network)):
        depth, _ = evidence.complete(given)
        torch.testing.assert_close(depth, torch.full_like(depth, 2.0), rtol=0.05, atol=0)


def test_planes_that_agree_by_chance_do_not_bend_the_networks_shape() -> None:
    noise = torch.rand(1, 1, 120, 160, generator=torch.Generator().manual_seed(1))
    network = 2.0 * torch.ones_like(noise)
    for agreement, bent in ((0.18, False), (0.4, True)):
        weight = torch.full_like(noise, agreement**2)
        by_chance = chance(torch.full_like(noise, agreement))
        evidence = MotionEvidence(1.5 + noise, weight, 0.05, 0.0, by_chance)
        depth, _ = evidence.complete(network)
        spread = float((depth / network).log().abs().mean())
        assert (spread > 0.02) == bent, spread


def test_few_labels_barely_beyond_chance_give_an_uncertain_scale() -> None:
    noise = torch.rand(1, 1, 120, 160, generator=torch.Generator().manual_seed(1))
    sigmas = []
    for agreement in (0.21, 0.6):
        all_alike = torch.full_like(noise, agreement)
        evidence = MotionEvidence(1.5 + noise, all_alike.square(), 0.05, 0.0, chance(all_alike))
        sigmas.append(fit_scale(NETWORK, evidence.labels(120, 160)).sigma)
    assert sigmas[0] > 0.15 and sigmas[1] < 0.05


def scale_sigma(depth: torch.Tensor, sure: torch.Tensor) -> float:
    evidence = MotionEvidence(depth, 0.3 * sure, 0.05, 0.04, torch.zeros_like(sure))
    return fit_scale(torch.full_like(depth, 2.0), evidence.labels(120, 160)).sigma


def test_labels_in_one_corner_or_of_two_minds_give_an_uncertain_scale() -> None:
    every = torch.ones(1, 1, 120, 160)
    two = 2.0 * every
    even = scale_sigma(two * 1.1, every)
    assert even == pytest.approx(0.033, abs=0.002)  # what all labels have in common
    corner = torch.zeros_like(every)
    corner[..., :24, :32] = 1.0
    stripes = two.clone()
    stripes[..., ::2] *= 1.05
    assert scale_sigma(stripes, corner) > 1.1 * scale_sigma(stripes, every)
    halves = two.clone()
    halves[..., :70] *= 1.6
    assert scale_sigma(halves, every) > 1.8 * even


def blank(index: int, x: float) -> Keyframe:
    """Return the wall with no texture on its right half."""
    seen = view(index, pose(x=x))
    left = torch.arange(160.0).expand(1, 3, 120, 160) < 80
    return replace(seen, image=torch.where(left, seen.image, torch.tensor(0.5)))


def test_other_keyframes_speak_where_images_do_not() -> None:
    target, sources = blank(0, 0.0), [blank(1, -0.2), blank(2, 0.2)]
    u = torch.arange(160.0).expand(1, 1, 120, 160)
    network = torch.where(u < 80, 2.0, 3.2)
    every = torch.ones(1, 1, 120, 160)
    depth = DepthEstimate(WALL_M * every, None, "test", "test")
    other = MappedKeyframe(blank(3, 0.05), None, depth, every)
    errors = []
    for elsewhere in ([], [other]):
        sweep = sweep_neighbours(target, sources, DepthConfig(), MotionEvidenceConfig(), elsewhere)
        assert sweep is not None
        depth, _ = sweep.given(network).complete(network)
        errors.append(float((depth / WALL_M - 1).abs()[..., 110:].mean()))
    assert errors[1] < 0.03
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("preference", [0.05, 0.0])
def test_where_images_do_not_prefer_a_plane_the_network_stays(preference: float) -> None:
    """The right half of the wall has no texture. Its planes are wrong, the network is right."""
    sources = [view(i + 1, pose(x=x)) for i, x in enumerate([-0.2, 0.2])]
    config = MotionEvidenceConfig(preference=preference)
    sweep = sweep_neighbours(view(0, pose()), sources, DepthConfig(), config)
    assert sweep is not None
    correlation = sweep.volume.correlation.clone()
    correlation[..., 80:] = 0.3
    sweep = replace(sweep, volume=replace(sweep.volume, correlation=correlation))
    network = torch.full((1, 1, 120, 160), WALL_M)
    planes = network.clone()
    planes[..., 80:] = 2.6
    evidence = replace(sweep.first, depth=planes)
    preferred = sweep.preferred(evidence, network, torch.full_like(network, 0.02))
    right = float(preferred.depth[..., 84:].median())
    assert right == pytest.approx(WALL_M if preference else 2.6, rel=0.02)


def test_where_images_prefer_a_plane_it_stays() -> None:
    sources = [view(i + 1, pose(x=x)) for i, x in enumerate([-0.2, 0.2])]
    sweep = sweep_neighbours(view(0, pose()), sources, DepthConfig(), MotionEvidenceConfig())
    assert sweep is not None
    wrong = torch.full((1, 1, 120, 160), 1.4 * WALL_M)
    evidence = sweep.given(wrong)
    preferred = sweep.preferred(evidence, wrong, torch.full_like(wrong, 0.02))
    middle = (preferred.depth / WALL_M)[..., 20:-20, 40:-40]
    assert float((middle - 1.0).abs().median()) < 0.03


def test_a_network_of_large_errors_takes_the_planes_that_are_no_worse() -> None:
    sources = [view(i + 1, pose(x=x)) for i, x in enumerate([-0.2, 0.2])]
    sweep = sweep_neighbours(view(0, pose()), sources, DepthConfig(), MotionEvidenceConfig())
    assert sweep is not None
    flat = replace(sweep.volume, correlation=torch.full_like(sweep.volume.correlation, 0.3))
    sweep = replace(sweep, volume=flat)
    network = torch.full((1, 1, 120, 160), 1.4 * WALL_M)
    evidence = replace(sweep.first, depth=torch.full_like(network, WALL_M))
    depths = [
        float(sweep.preferred(evidence, network, torch.full_like(network, sigma)).depth.median())
        for sigma in (0.02, 0.15, 1.0)
    ]
    assert depths[0] > 2.7 and depths[2] < 2.05
    assert depths[0] > depths[1] > depths[2]
