"""The light network: the encoder it shares with published weights, and its two heads."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from e2e_slam_ros.depth.efficientnet_lite import LITE0, LITE2, EfficientNetLite, LiteVariant
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet


@pytest.mark.parametrize(("variant", "published"), [(LITE0, 4_652_008), (LITE2, 6_092_072)])
def test_the_encoder_has_the_published_number_of_parameters(
    variant: LiteVariant, published: int
) -> None:
    # The head (a convolution to 1280 channels and its norm) and the classifier (1280 x 1000 and
    # bias) are left out.
    head = variant.channels()[-1] * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    own = sum(p.numel() for p in EfficientNetLite(variant).parameters())
    assert own == published - head


@pytest.mark.parametrize("variant", [LITE0, LITE2])
def test_features_halve_from_level_to_level(variant: LiteVariant) -> None:
    features = EfficientNetLite(variant).eval()(torch.rand(1, 3, 64, 96))
    sizes = [tuple(f.shape[1:]) for f in features]
    assert sizes == [(c, 64 >> i, 96 >> i) for i, c in enumerate(variant.channels(), start=1)]


def test_strided_convolutions_pad_like_the_published_weights() -> None:
    # TensorFlow's "same" with stride 2 on an even size: nothing before, one after.
    stem = EfficientNetLite().stem.eval()
    image = torch.rand(1, 3, 64, 64)
    ours = stem.conv(functional.pad(image, stem.pad))
    first = functional.conv2d(image[..., :3, :3], stem.conv.weight)
    torch.testing.assert_close(ours[..., :1, :1], first)
    last = functional.conv2d(functional.pad(image[..., 62:, 62:], (0, 1, 0, 1)), stem.conv.weight)
    torch.testing.assert_close(ours[..., -1:, -1:], last)


def test_a_fresh_network_says_about_two_and_a_half_metres() -> None:
    torch.manual_seed(0)
    network = LiteDepthNet().eval()
    with torch.inference_mode():
        answer = network.predict(torch.rand(1, 3, 64, 64))
    assert float(1 / answer.disparity.mean()) == pytest.approx(2.5, rel=0.3)
    assert answer.log_uncertainty is not None
    assert float(answer.log_uncertainty.mean()) == pytest.approx(-1.5, abs=0.3)


def test_disparity_keeps_full_precision_under_autocast() -> None:
    network = LiteDepthNet().eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        answer = network.predict(torch.rand(1, 3, 64, 64))
    assert answer.disparity.dtype == torch.float32
    assert math.isfinite(float(answer.disparity.sum()))


def test_gradients_reach_every_parameter_of_the_depth() -> None:
    network = LiteDepthNet()
    answer = network.predict(torch.rand(2, 3, 64, 64))
    assert answer.log_uncertainty is not None
    (answer.disparity.mean() + answer.log_uncertainty.mean()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert without == []
