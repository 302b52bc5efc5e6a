"""Network depth: sizes, scale, range, determinism, refusals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from e2e_slam_ros.config import DepthConfig, NetworkConfig
from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.keyframe import Keyframe
from e2e_slam_ros.data.keyframes import Keyframes
from e2e_slam_ros.depth.architecture import DepthNetwork, Prediction
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.depth.network import NetworkDepth, confidence_of
from e2e_slam_ros.geometry.camera import PinholeCamera

MakeKeyframe = Callable[..., Keyframe]
CPU = torch.device("cpu")
NO_VIEWS = Keyframes(1)


def _source(
    weights: Path, min_m: float = 0.05, max_m: float = 200.0, **network: float | int | str
) -> NetworkDepth:
    settings = {"architecture": "disp_resnet18", "width": 96, "height": 64, **network}
    config = DepthConfig(
        source="network",
        min_m=min_m,
        max_m=max_m,
        network=NetworkConfig(checkpoint=str(weights), **settings),  # type: ignore[arg-type]
    )
    return NetworkDepth(config, CPU)


@pytest.mark.parametrize("size", [(96, 64), (320, 240), (101, 67), (33, 7), (1, 1), (640, 480)])
def test_depth_has_the_keyframes_size(
    weights: Path, make_keyframe: MakeKeyframe, size: tuple[int, int]
) -> None:
    keyframe = make_keyframe(*size)
    estimate = _source(weights).estimate(keyframe, NO_VIEWS)
    assert estimate.depth.shape == (1, 1, size[1], size[0])
    assert estimate.depth.dtype == torch.float32
    # disparity between 0.01 and 10.01
    assert 1 / 10.02 < float(estimate.depth.min()) and float(estimate.depth.max()) < 100.01
    assert (estimate.source, estimate.unit) == ("network", "network (unknown factor)")


def test_depth_is_the_inverse_of_disparity(
    network: DispResNet18, weights: Path, make_keyframe: MakeKeyframe
) -> None:
    keyframe = make_keyframe(96, 64)
    with torch.inference_mode():
        disparity = network(keyframe.image)
    estimate = _source(weights).estimate(keyframe, NO_VIEWS)
    torch.testing.assert_close(estimate.depth, 1.0 / disparity)


def test_depth_is_not_limited_to_the_range(weights: Path, make_keyframe: MakeKeyframe) -> None:
    keyframe = make_keyframe(101, 67)
    free = _source(weights).estimate(keyframe, NO_VIEWS).depth
    assert torch.equal(_source(weights, min_m=5.0).estimate(keyframe, NO_VIEWS).depth, free)


def test_constant_disparity_stays_constant_when_resized(
    weights: Path, make_keyframe: MakeKeyframe
) -> None:
    source = _source(weights)
    assert isinstance(source.network, DispResNet18)
    for parameter in source.network.decoder.decoder[10].parameters():
        torch.nn.init.zeros_(parameter)
    depth = source.estimate(make_keyframe(333, 77), NO_VIEWS).depth
    torch.testing.assert_close(depth, torch.full_like(depth, 1 / 5.01))


def test_a_sheared_image_size_keeps_left_left(weights: Path, make_keyframe: MakeKeyframe) -> None:
    # Resizing must not flip or transpose: the disparity grows with the column it comes from.
    source = _source(weights)

    class Columns(DepthNetwork):
        def predict(self, image: torch.Tensor) -> Prediction:
            columns = torch.arange(1.0, image.shape[-1] + 1)
            return Prediction(columns.expand(1, 1, *image.shape[-2:]), None)

    source.network = Columns()
    keyframe = make_keyframe(50, 33)
    depth = source.predict(keyframe.image, keyframe.camera.matrix()[None])
    assert bool((depth[..., 1:] < depth[..., :-1]).all())
    # Pixel areas are scaled: centre u maps to (u + 0.5) * 96 / 50 - 0.5 of the network's columns.
    expected = 1 + (torch.arange(2.0, 48.0) + 0.5) * 96 / 50 - 0.5
    torch.testing.assert_close(1 / depth[0, 0, 10, 2:48], expected, rtol=1e-5, atol=0)


def test_estimates_are_repeatable(weights: Path, make_keyframe: MakeKeyframe) -> None:
    keyframe = make_keyframe(101, 67)
    source = _source(weights)
    first = source.estimate(keyframe, NO_VIEWS).depth
    assert torch.equal(source.estimate(keyframe, NO_VIEWS).depth, first)
    assert torch.equal(_source(weights).estimate(keyframe, NO_VIEWS).depth, first)


def test_estimating_changes_nothing_in_the_network(
    network: DispResNet18, weights: Path, make_keyframe: MakeKeyframe
) -> None:
    source = _source(weights)
    source.estimate(make_keyframe(), NO_VIEWS)
    before = network.state_dict()
    assert all(torch.equal(v, before[k]) for k, v in source.network.state_dict().items())


def test_prediction_can_be_differentiated(weights: Path, make_keyframe: MakeKeyframe) -> None:
    source = _source(weights)
    keyframe = make_keyframe(101, 67)
    depth = source.predict(keyframe.image, keyframe.camera.matrix()[None])
    assert isinstance(source.network, DispResNet18)
    depth.mean().backward()  # type: ignore[no-untyped-call]
    gradient = source.network.encoder.encoder.conv1.weight.grad
    assert gradient is not None and float(gradient.abs().sum()) > 0


def test_metric_depth_is_relative_focal_over_disparity(
    lite: LiteDepthNet, lite_weights: Path, make_keyframe: MakeKeyframe
) -> None:
    keyframe = replace(
        make_keyframe(96, 64), camera=PinholeCamera(96, 64, fx=48.0, fy=128.0, cx=50.0, cy=30.0)
    )
    with torch.inference_mode():
        disparity = lite(keyframe.image)
    source = _source(lite_weights, architecture="efficientnet_lite0")
    estimate = source.estimate(keyframe, NO_VIEWS)
    torch.testing.assert_close(estimate.depth, (0.5 * 2.0) ** 0.5 / disparity)
    assert estimate.unit == "network (learned metric scale)"


def test_metric_depth_follows_the_zoom_of_the_camera(
    lite_weights: Path, make_keyframe: MakeKeyframe
) -> None:
    # The same picture through a lens of twice the focal length shows things twice as far.
    source = _source(lite_weights, architecture="efficientnet_lite0")
    keyframe = make_keyframe(101, 67)
    camera = keyframe.camera
    tele = replace(keyframe, camera=replace(camera, fx=2 * camera.fx, fy=2 * camera.fy))
    torch.testing.assert_close(
        source.estimate(tele, NO_VIEWS).depth, 2 * source.estimate(keyframe, NO_VIEWS).depth
    )


def test_the_images_size_does_not_change_metric_depth(
    lite_weights: Path, make_keyframe: MakeKeyframe
) -> None:
    source = _source(lite_weights, architecture="efficientnet_lite0")
    assert isinstance(source.network, LiteDepthNet)
    torch.nn.init.zeros_(source.network.disparity.weight)
    small = make_keyframe(80, 60)
    large = replace(make_keyframe(320, 160), camera=small.camera.resized(320, 160))
    means = [float(source.estimate(k, NO_VIEWS).depth.mean()) for k in (small, large)]
    assert means[0] == pytest.approx(means[1])


def test_every_image_of_a_batch_has_its_own_camera(
    lite_weights: Path, make_keyframe: MakeKeyframe
) -> None:
    source = _source(lite_weights, architecture="efficientnet_lite0")
    keyframe = make_keyframe(50, 33)
    one = keyframe.camera.matrix()
    two = torch.diag(torch.tensor([3.0, 3.0, 1.0])) @ one
    with torch.inference_mode():
        depth = source.predict(keyframe.image.repeat(2, 1, 1, 1), torch.stack([one, two]))
    torch.testing.assert_close(depth[1], 3 * depth[0], rtol=1e-4, atol=0)


def test_without_weights_it_says_how_to_get_them() -> None:
    config = DepthConfig(source="network", network=NetworkConfig("disp_resnet18"))
    with pytest.raises(DepthError, match="no weights.*download-weights.*depth.source: sensor"):
        NetworkDepth(config, CPU)


@pytest.mark.parametrize("size", [{"width": 100}, {"height": 250}, {"width": 32}])
def test_refuses_a_size_the_network_cannot_take(weights: Path, size: dict[str, int]) -> None:
    with pytest.raises(DepthError, match="multiples of 32"):
        _source(weights, **size)


def test_confidence_falls_with_the_square_of_the_expected_error() -> None:
    expected = torch.tensor([0.01, 0.05, 0.1, 0.5])
    weights = confidence_of(expected.log())
    torch.testing.assert_close(weights, torch.tensor([1.0, 1.0, 0.25, 0.01]))


def test_confidence_is_handed_on_only_where_asked_for(
    lite_weights: Path, make_keyframe: MakeKeyframe
) -> None:
    plain = _source(lite_weights, architecture="efficientnet_lite0")
    assert plain.estimate(make_keyframe(96, 64), NO_VIEWS).confidence is None
    asked = _source(lite_weights, architecture="efficientnet_lite0", confidence=True)
    confidence = asked.estimate(make_keyframe(101, 67), NO_VIEWS).confidence
    assert confidence is not None and confidence.shape == (1, 1, 67, 101)
    assert 0 < float(confidence.min()) and float(confidence.max()) <= 1
