"""What a network's disparity means, and the sizes it takes."""

from __future__ import annotations

import math

import pytest
import torch

from e2e_slam_ros.config.errors import ConfigError, DepthError
from e2e_slam_ros.depth.architecture import check_size, depth_from_disparity, relative_focal
from e2e_slam_ros.depth.architectures import ARCHITECTURES, build_network
from e2e_slam_ros.geometry.camera import PinholeCamera


def intrinsics(fx: float, fy: float) -> torch.Tensor:
    return torch.tensor([[[fx, 0.0, 31.5], [0.0, fy, 31.5], [0.0, 0.0, 1.0]]])


def test_relative_focal_is_one_where_both_focal_lengths_equal_the_size() -> None:
    assert relative_focal(intrinsics(64.0, 48.0), 48, 64).tolist() == pytest.approx([1.0])


def test_relative_focal_survives_any_resizing() -> None:
    camera = PinholeCamera(640, 480, fx=517.3, fy=516.5, cx=318.6, cy=255.3)
    squeezed = camera.resized(320, 256)
    of = [
        relative_focal(intrinsics(c.fx, c.fy).double(), c.height, c.width)
        for c in (camera, squeezed)
    ]
    assert float(of[0]) == pytest.approx(float(of[1]), rel=1e-6)
    assert float(of[0]) == pytest.approx(math.sqrt(517.3 * 516.5 / (640 * 480)), rel=1e-6)


def test_depth_grows_with_the_focal_length_only_where_the_network_is_normalised() -> None:
    disparity = torch.full((2, 1, 64, 64), 0.5)
    k = torch.cat([intrinsics(64.0, 64.0), intrinsics(128.0, 128.0)])
    normalised = depth_from_disparity(disparity, k, focal_normalised=True)
    assert normalised[:, 0, 0, 0].tolist() == pytest.approx([2.0, 4.0])
    plain = depth_from_disparity(disparity, k, focal_normalised=False)
    assert plain[:, 0, 0, 0].tolist() == pytest.approx([2.0, 2.0])
    one_for_all = depth_from_disparity(disparity, k[1], focal_normalised=True)
    assert one_for_all[:, 0, 0, 0].tolist() == pytest.approx([4.0, 4.0])


@pytest.mark.parametrize(("width", "height"), [(320, 240), (32, 64), (0, 64)])
def test_sizes_that_cannot_be_halved_five_times_are_refused(width: int, height: int) -> None:
    with pytest.raises(DepthError, match="multiples of 32"):
        check_size(width, height)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_answers_at_the_size_of_its_image(name: str) -> None:
    network = build_network(name).eval()
    with torch.inference_mode():
        answer = network.predict(torch.rand(2, 3, 64, 96))
        assert answer.disparity.shape == (2, 1, 64, 96)
        assert bool((answer.disparity > 0).all())
        if answer.log_uncertainty is not None:
            assert answer.log_uncertainty.shape == (2, 1, 64, 96)
        assert torch.equal(network(torch.zeros(1, 3, 64, 64)), network(torch.zeros(1, 3, 64, 64)))
        with pytest.raises(DepthError, match="multiples of 32"):
            network(torch.rand(1, 3, 60, 96))


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ConfigError, match="efficientnet_lite0"):
        build_network("resnet999")
