"""The network's structure: names and shapes as published, output range, sizes."""

from __future__ import annotations

import pytest
import torch

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.disp_resnet import DispResNet18


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of an SC-SfMLearner ResNet-18 depth checkpoint, written out by hand."""
    shapes: dict[str, tuple[int, ...]] = {}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    root = "encoder.encoder"
    shapes[f"{root}.conv1.weight"] = (64, 3, 7, 7)
    norm(f"{root}.bn1", 64)
    coming = 64
    for stage, channels in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            name = f"{root}.layer{stage}.{block}"
            shapes[f"{name}.conv1.weight"] = (channels, coming, 3, 3)
            norm(f"{name}.bn1", channels)
            shapes[f"{name}.conv2.weight"] = (channels, channels, 3, 3)
            norm(f"{name}.bn2", channels)
            if coming != channels:
                shapes[f"{name}.downsample.0.weight"] = (channels, coming, 1, 1)
                norm(f"{name}.downsample.1", channels)
            coming = channels
    shapes[f"{root}.fc.weight"], shapes[f"{root}.fc.bias"] = (1000, 512), (1000,)

    sizes = [(256, 512), (256, 512), (128, 256), (128, 256), (64, 128), (64, 128),
             (32, 64), (32, 96), (16, 32), (16, 16)]  # fmt: skip
    for index, (channels, coming) in enumerate(sizes):
        shapes[f"decoder.decoder.{index}.conv.conv.weight"] = (channels, coming, 3, 3)
        shapes[f"decoder.decoder.{index}.conv.conv.bias"] = (channels,)
    for index, coming in enumerate((16, 32, 64, 128), start=10):
        shapes[f"decoder.decoder.{index}.conv.weight"] = (1, coming, 3, 3)
        shapes[f"decoder.decoder.{index}.conv.bias"] = (1,)
    return shapes


def test_names_and_shapes_are_those_published() -> None:
    state = DispResNet18().state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == published_shapes()


def test_a_published_state_dict_loads_strictly() -> None:
    state = {
        key: torch.zeros(shape, dtype=torch.int64 if key.endswith("tracked") else torch.float32)
        for key, shape in published_shapes().items()
    }
    DispResNet18().load_state_dict(state, strict=True)


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (128, 64), (256, 320)])
def test_output_shapes_and_range(network: DispResNet18, size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, *size)
    with torch.inference_mode():
        pyramid = network.pyramid(image)
        finest = network(image)
    assert [tuple(d.shape) for d in pyramid] == [
        (1, 1, size[0] >> level, size[1] >> level) for level in range(4)
    ]
    assert torch.equal(pyramid[0], finest)
    for disparity in pyramid:
        assert 0.01 <= float(disparity.min()) and float(disparity.max()) <= 10.01


def test_zero_outputs_give_the_middle_of_the_range() -> None:
    network = DispResNet18().eval()
    for level in range(10, 14):
        for parameter in network.decoder.decoder[level].parameters():
            torch.nn.init.zeros_(parameter)
    with torch.inference_mode():
        for disparity in network.pyramid(torch.rand(1, 3, 64, 64)):
            torch.testing.assert_close(disparity, torch.full_like(disparity, 5.01))


def test_input_is_normalised_as_in_training(network: DispResNet18) -> None:
    # The first convolution must see (x - 0.45) / 0.225.
    seen: list[torch.Tensor] = []
    first = network.encoder.encoder.conv1
    hook = first.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        network(image)
    hook.remove()
    torch.testing.assert_close(seen[0], (image - 0.45) / 0.225)


def test_decoder_follows_the_published_recipe(network: DispResNet18) -> None:
    # The same layers, called one by one in the order the paper's decoder names them.
    layers = network.decoder.decoder
    with torch.inference_mode():
        image = torch.rand(1, 3, 64, 96)
        features = network.encoder((image - 0.45) / 0.225)

        def convolve(index: int, x: torch.Tensor) -> torch.Tensor:
            x = torch.nn.ReflectionPad2d(1)(x)
            conv = layers[index].conv
            return getattr(conv, "conv", conv)(x)

        x = features[4]
        for step, skip in enumerate([3, 2, 1, 0, None]):
            x = torch.nn.functional.elu(convolve(2 * step, x))
            x = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            x = x if skip is None else torch.cat([x, features[skip]], dim=1)
            x = torch.nn.functional.elu(convolve(2 * step + 1, x))
        expected = 10 * torch.sigmoid(convolve(10, x)) + 0.01
        torch.testing.assert_close(network(image), expected)


def test_every_used_parameter_gets_a_gradient() -> None:
    network = DispResNet18().eval()
    loss = torch.stack([d.mean() for d in network.pyramid(torch.rand(1, 3, 64, 64))]).sum()
    loss.backward()
    unused = {name for name, p in network.named_parameters() if p.grad is None}
    assert unused == {"encoder.encoder.fc.weight", "encoder.encoder.fc.bias"}
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == unused


@pytest.mark.parametrize("size", [(64, 100), (250, 320), (32, 64), (0, 64)])
def test_refuses_sizes_it_cannot_take(network: DispResNet18, size: tuple[int, int]) -> None:
    with pytest.raises(DepthError, match="multiples of 32, at least 64"):
        network(torch.rand(1, 3, *size))


@pytest.mark.gpu
def test_cuda_agrees_with_the_processor(network: DispResNet18) -> None:
    image = torch.rand(1, 3, 64, 96)
    there = DispResNet18().cuda().eval()
    there.load_state_dict(network.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(there(image.cuda()).cpu(), network(image), rtol=1e-2, atol=1e-2)
