"""Depth networks of the transformers library."""

from __future__ import annotations

import torch
from torch import nn

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.architecture import Prediction
from e2e_slam_ros.depth.foreign_network import ForeignNetwork
from e2e_slam_ros.depth.image_preparation import ImagePreparation
from e2e_slam_ros.depth.network_output import NetworkOutput


class TransformersNetwork(ForeignNetwork):
    """A model of AutoModelForDepthEstimation, with its preparation of images.

    The model's backbone is the encoder; its neck and head are what ``decoder`` adapts.

    Args:
        model: called with ``pixel_values`` (B, 3, h, w); its answer has ``predicted_depth``
            (B, h', w').
        preparation: of images.
        output: meaning of the prediction.
        licence: of its weights, or "".
        notices: sentences for the user.

    >>> from types import SimpleNamespace
    >>> class Mean(nn.Module):
    ...     def forward(self, pixel_values: torch.Tensor) -> SimpleNamespace:
    ...         return SimpleNamespace(predicted_depth=2.0 + pixel_values.mean(dim=1))
    >>> preparation = ImagePreparation(size=(56, 56), mean=(0.0,) * 3, std=(1.0,) * 3)
    >>> network = TransformersNetwork(Mean(), preparation, NetworkOutput.METRES)
    >>> network.metric, float(network(torch.zeros(1, 3, 30, 40)).mean())
    (True, 0.5)
    """

    def __init__(
        self,
        model: nn.Module,
        preparation: ImagePreparation,
        output: NetworkOutput,
        licence: str = "",
        notices: tuple[str, ...] = (),
    ) -> None:
        super().__init__(preparation, output, licence, notices)
        encoder = _encoder(model)
        if encoder is not None:
            # Registered first: its parameters have names that begin with "encoder.".
            self.encoder = encoder
        self.model = model

    def predict(self, image: torch.Tensor) -> Prediction:
        """Return the disparity at the image's size; see `DepthNetwork`.

        Raises:
            DepthError: the model gives something else than one value a pixel.
        """
        predicted = self.model(pixel_values=self.preparation.prepare(image)).predicted_depth
        if predicted.dim() != 3 or predicted.shape[0] != image.shape[0]:
            raise DepthError.from_parts(
                "prediction of the depth network",
                f"shape {tuple(predicted.shape)}",
                f"({image.shape[0]}, height, width)",
                "use a model of AutoModelForDepthEstimation",
            )
        values = self.preparation.restore(predicted.unsqueeze(1).float(), *image.shape[-2:])
        return Prediction(self.output.disparity(values), None)


def _encoder(model: nn.Module) -> nn.Module | None:
    """Return the part that turns an image into features; None where it is not to be told."""
    backbone = getattr(model, "backbone", None)
    if isinstance(backbone, nn.Module):
        return backbone
    inner = getattr(model, str(getattr(model, "base_model_prefix", "")), None)
    return inner if isinstance(inner, nn.Module) else None
