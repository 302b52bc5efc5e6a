"""The adapted parameters of a depth network, and its run during the adaptation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.depth.architecture import SIZE_MIN, SIZE_STEP, DepthNetwork, depth_from_disparity
from e2e_slam_ros.geometry.camera import PinholeCamera

# Trained separately; the refinement does not touch it (paper 3.3).
_UNCERTAINTY = "log_uncertainty"
_ENCODER = "encoder"


def adapted_parameters(network: nn.Module, which: str) -> dict[str, nn.Parameter]:
    """Return the parameters that refinement changes, by name.

    Args:
        network: with its encoder in ``network.encoder``, as all architectures here.
        which: "all", "decoder" (everything else than the encoder), or "norm_and_last" (weights
            of norm layers and the last convolution).

    Raises:
        ConfigError: another word.
    """
    named = {
        name: parameter
        for name, parameter in network.named_parameters()
        if not name.startswith(_UNCERTAINTY)
    }
    if which == "all":
        return named
    if which == "decoder":
        return {n: p for n, p in named.items() if not n.startswith(_ENCODER + ".")}
    if which == "norm_and_last":
        chosen = _norm_names(network) | _last_names(network)
        return {n: p for n, p in named.items() if n in chosen}
    raise ConfigError.from_parts(
        "refine.network.parameters",
        repr(which),
        "all, decoder or norm_and_last",
        "choose one of these",
    )


def _norm_names(network: nn.Module) -> set[str]:
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return {
        f"{name}.{inner}"
        for name, module in network.named_modules()
        if isinstance(module, norms)
        for inner, _ in module.named_parameters(recurse=False)
    }


def _last_names(network: nn.Module) -> set[str]:
    """Return the parameters of every convolution that leaves one channel: the outputs."""
    return {
        f"{name}.{inner}"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.out_channels == 1
        for inner, _ in module.named_parameters(recurse=False)
    }


@contextmanager
def adapting(network: nn.Module, parameters: dict[str, nn.Parameter]) -> Iterator[None]:
    """Let gradients flow to ``parameters`` alone, with all norm layers' statistics frozen.

    The whole network is in evaluation mode, norm layers in shortcuts and dropout included. If no
    parameter of the encoder is adapted, its features are computed once and kept.
    """
    required = {name: p.requires_grad for name, p in network.named_parameters()}
    training = network.training
    network.eval()
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in parameters)
    encoder = getattr(network, _ENCODER, None)
    frozen = isinstance(encoder, nn.Module) and not any(
        name.startswith(_ENCODER + ".") for name in parameters
    )
    try:
        if frozen:
            assert isinstance(encoder, nn.Module)
            _keep_features(encoder)
        yield
    finally:
        if frozen:
            del encoder.forward  # type: ignore[union-attr]
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(required[name])
        network.train(training)


def _keep_features(encoder: nn.Module) -> None:
    """Compute the encoder's features once. An attribute of the instance hides its ``forward``."""
    original = encoder.forward
    kept: list[object] = []

    def forward(*inputs: torch.Tensor, **options: object) -> object:
        if not kept:
            with torch.no_grad():
                kept.append(original(*inputs, **options))
        answer = kept[0]
        # A copy of the list: decoders may take features out of it.
        return list(answer) if isinstance(answer, list) else answer

    encoder.forward = forward


class NetworkInput:
    """An image as the network takes it, and the depth of the network at any size.

    Args:
        network: the network.
        image: (1, 3, H, W) in [0, 1].
        camera: its intrinsics.
        width, height: of the network's input; multiples of 32.

    Example:
        >>> from e2e_slam_ros.depth.architecture import Prediction
        >>> class Constant(DepthNetwork):
        ...     def predict(self, image: torch.Tensor) -> Prediction:
        ...         return Prediction(torch.full_like(image[:, :1], 0.5), None)
        >>> camera = PinholeCamera(width=80, height=60, fx=80.0, fy=80.0, cx=39.5, cy=29.5)
        >>> image, network = torch.zeros(1, 3, 60, 80), Constant()
        >>> given = NetworkInput(network, image, camera, width=96, height=64)
        >>> depth = given.depth(network, width=80, height=60)
        >>> depth.shape, float(depth.mean())
        (torch.Size([1, 1, 60, 80]), 2.0)
    """

    def __init__(
        self,
        network: DepthNetwork,
        image: torch.Tensor,
        camera: PinholeCamera,
        width: int,
        height: int,
    ) -> None:
        self._camera = camera
        self._image = network.fitted(image, (height, width)).clone()

    def depth(self, network: DepthNetwork, width: int, height: int) -> torch.Tensor:
        """Return the network's depth (1, 1, height, width) in its own units; differentiable."""
        disparity: torch.Tensor = network(self._image)
        if disparity.shape[-2:] != (height, width):
            # Disparity, not depth, is affine across a plane in the image: resizing keeps planes.
            disparity = functional.interpolate(
                disparity, (height, width), mode="bilinear", align_corners=False
            )
        intrinsics = self._camera.resized(width, height).matrix(disparity.device)
        return depth_from_disparity(
            disparity, intrinsics, focal_normalised=network.focal_normalised
        )


def network_size(side: int, factor: float) -> int:
    """Return a side of the input reduced by ``factor``, a multiple of 32, at least 64."""
    return max(SIZE_MIN, round(side * factor / SIZE_STEP) * SIZE_STEP)
