"""The common part of depth networks of other authors."""

from __future__ import annotations

from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.image_preparation import ImagePreparation
from e2e_slam_ros.depth.network_output import NetworkOutput


class ForeignNetwork(DepthNetwork):
    """A network with its own preparation of images and its own meaning of numbers.

    Args:
        preparation: of images.
        output: meaning of the prediction.
        licence: of its weights, or "".
        notices: sentences for the user.

    >>> preparation = ImagePreparation(size=(64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
    >>> import torch
    >>> from e2e_slam_ros.depth.architecture import Prediction
    >>> class Wall(ForeignNetwork):
    ...     def predict(self, image: torch.Tensor) -> Prediction:
    ...         return Prediction(torch.full_like(image[:, :1], 0.5), None)
    >>> network = Wall(preparation, NetworkOutput.METRES, "Apache-2.0", ())
    >>> network.foreign, network.metric, network.licence
    (True, True, 'Apache-2.0')
    """

    foreign = True

    def __init__(
        self,
        preparation: ImagePreparation,
        output: NetworkOutput,
        licence: str,
        notices: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.preparation, self.output = preparation, output
        self.metric, self.shifted = output.metric, output.shifted
        self.licence, self.notices = licence, notices
