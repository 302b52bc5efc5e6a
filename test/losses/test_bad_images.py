"""Images and depths that say nothing: every loss stays finite and says that it knows nothing."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.geometry.warp import inverse_warp
from e2e_slam_ros.losses.chamfer import chamfer
from e2e_slam_ros.losses.cloud import in_view, local_cloud
from e2e_slam_ros.losses.geometry_consistency import geometry_consistency
from e2e_slam_ros.losses.photometric import photometric_loss
from e2e_slam_ros.losses.regulariser import depth_regulariser
from e2e_slam_ros.losses.smoothness import smoothness
from e2e_slam_ros.losses.sparse_depth import sparse_depth_loss
from e2e_slam_ros.losses.uncertainty import uncertainty_loss
from synthetic import CAMERA, pose, wall_depth

IMAGES = {
    "black": torch.zeros(1, 3, 48, 64),
    "saturated": torch.ones(1, 3, 48, 64),
    "one colour": torch.tensor([0.2, 0.5, 0.7]).view(1, 3, 1, 1).expand(1, 3, 48, 64).clone(),
}
K = CAMERA.matrix()


def all_losses(
    image: torch.Tensor, source: torch.Tensor, depth: torch.Tensor, T_source_target: torch.Tensor
) -> dict[str, torch.Tensor]:
    warp = inverse_warp(source, depth, T_source_target[None], K, K)
    consistency = geometry_consistency(warp, depth.detach())
    photometric = photometric_loss(image, [warp], [source], pixel_weights=[consistency.mask])
    unmasked = photometric_loss(image, [warp], domain=torch.ones_like(warp.valid))
    local = local_cloud(depth, CAMERA, pose(), 500)
    reference = local_cloud(wall_depth(pose()), CAMERA, pose(), 500)
    reference = reference[in_view(reference, CAMERA, T_source_target.double().inverse())]
    valid = (depth > 0).detach()
    return {
        "photometric": photometric.loss,
        "photometric, all pixels": unmasked.loss,
        "chamfer": chamfer(local, reference),
        "regulariser": depth_regulariser(wall_depth(pose()), depth),
        "smoothness": smoothness(depth.reciprocal(), image),
        "consistency": consistency.loss,
        "sparse": sparse_depth_loss(depth, wall_depth(pose())),
        "uncertainty": uncertainty_loss(photometric.error, depth.log(), valid),
    }


def assert_finite(losses: dict[str, torch.Tensor], depth: torch.Tensor) -> None:
    for name, loss in losses.items():
        assert loss.shape == () and bool(torch.isfinite(loss)), name
        gradient = torch.autograd.grad(loss, depth, retain_graph=True, allow_unused=True)[0]
        assert gradient is None or bool(torch.isfinite(gradient).all()), name


@pytest.mark.parametrize("kind", list(IMAGES))
def test_an_image_without_content_says_nothing_about_depth(kind: str) -> None:
    image = IMAGES[kind]
    depth = (1.2 * wall_depth(pose())).requires_grad_()
    losses = all_losses(image, image.clone(), depth, pose(x=0.1).float())
    assert_finite(losses, depth)
    assert losses["photometric"].item() == 0.0  # nothing counts: the mask leaves no pixel
    warp = inverse_warp(image, depth, pose(x=0.1).float()[None], K, K)
    result = photometric_loss(image, [warp], [image])
    assert float(result.valid_share) == 0.0 and not bool(result.enough)
    gradient = torch.autograd.grad(result.loss, depth, allow_unused=True)[0]
    assert gradient is None or float(gradient.abs().max()) < 1e-6


def test_a_source_identical_to_the_target_is_refused() -> None:
    image = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    depth = wall_depth(pose()).requires_grad_()
    for T in (pose(), pose(x=0.2)):  # at rest; and an image that came twice with another pose
        warp = inverse_warp(image, depth, T.float()[None], K, K)
        result = photometric_loss(image, [warp], [image])
        assert not bool(result.enough) and result.loss.item() == 0.0
        assert_finite(all_losses(image, image, depth, T.float()), depth)


@pytest.mark.parametrize("T", [pose(x=50.0), pose(yaw_deg=180.0), pose(z=-5.0)])
def test_no_overlap_costs_nothing_and_is_signalled(T: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(1)
    image, source = (torch.rand(1, 3, 48, 64, generator=generator) for _ in range(2))
    depth = wall_depth(pose()).requires_grad_()
    assert_finite(all_losses(image, source, depth, T.float()), depth)
    if float(T[2, 3]) == 0.0:
        warp = inverse_warp(source, depth, T.float()[None], K, K)
        result = photometric_loss(image, [warp], [source])
        assert result.loss.item() == 0.0 and not bool(result.enough)
        assert float(result.in_view_share) == 0.0


@pytest.mark.parametrize("value", [0.0, 1e-8, 1e8, float("nan"), float("inf")])
def test_a_depth_network_that_went_mad(value: float) -> None:
    generator = torch.Generator().manual_seed(2)
    image, source = (torch.rand(1, 3, 48, 64, generator=generator) for _ in range(2))
    depth = torch.full((1, 1, 48, 64), value, requires_grad=True)
    warp = inverse_warp(source, depth, pose(x=0.1).float()[None], K, K)
    consistency = geometry_consistency(warp, wall_depth(pose()))
    losses = {
        "photometric": photometric_loss(image, [warp], [source]).loss,
        "consistency": consistency.loss,
        "chamfer": chamfer(local_cloud(depth, CAMERA, pose(), 300), torch.zeros(5, 3)),
        "regulariser": depth_regulariser(wall_depth(pose()), depth),
        "sparse": sparse_depth_loss(depth, wall_depth(pose())),
        "smoothness": smoothness(depth, image),
    }
    assert_finite(losses, depth)
