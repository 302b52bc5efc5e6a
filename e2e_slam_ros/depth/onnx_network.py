"""Depth networks in ONNX files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.depth.architecture import Prediction
from e2e_slam_ros.depth.foreign_network import ForeignNetwork
from e2e_slam_ros.depth.image_preparation import ImagePreparation
from e2e_slam_ros.depth.network_output import NetworkOutput

# (1, 3, h, w) float32 -> the model's output.
RunModel = Callable[[NDArray[np.float32]], NDArray[np.generic]]
# Sides of the answer may be rounded after a reduction by up to this factor.
_SMALLEST = 1.0 / 32.0


class OnnxNetwork(ForeignNetwork):
    """An ONNX model with its preparation of images. It cannot be adapted.

    Args:
        run_model: runs the model on one image.
        preparation: of images.
        output: meaning of the prediction.
        licence: of its weights, or "".
        notices: sentences for the user.

    >>> preparation = ImagePreparation(size=(64, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
    >>> network = OnnxNetwork(lambda image: image[:, 0] + 4.0, preparation, NetworkOutput.DEPTH)
    >>> network.adaptable, float(network(torch.zeros(1, 3, 30, 40)).mean())
    (False, 0.25)
    """

    adaptable = False

    def __init__(
        self,
        run_model: RunModel,
        preparation: ImagePreparation,
        output: NetworkOutput,
        licence: str = "",
        notices: tuple[str, ...] = (),
    ) -> None:
        super().__init__(preparation, output, licence, notices)
        self._run_model = run_model

    def predict(self, image: torch.Tensor) -> Prediction:
        """Return the disparity at the image's size; see `DepthNetwork`.

        Raises:
            DepthError: the model fails, or gives something else than one value a pixel.
        """
        given = self.preparation.prepare(image).detach().float().cpu().numpy()
        values = torch.stack([self._one(given[i : i + 1]) for i in range(given.shape[0])])
        values = self.preparation.restore(values.to(image.device), *image.shape[-2:])
        return Prediction(self.output.disparity(values), None)

    def _one(self, given: NDArray[np.float32]) -> torch.Tensor:
        """Return the prediction (1, h, w) for one prepared image."""
        try:
            answer = np.asarray(self._run_model(given))
        except Exception as problem:  # the runtime's exceptions have no common class
            first = (str(problem).splitlines() or [type(problem).__name__])[0]
            raise _refused(
                f"a failure at an input of {given.shape[-1]}x{given.shape[-2]} ({first[:200]})",
                "set depth.network.width and depth.network.height to a size that it takes, or "
                "put its preprocessor_config.json beside it",
            ) from problem
        plane = _plane(answer, given.shape)
        return torch.from_numpy(np.ascontiguousarray(plane, dtype=np.float32))[None]


def _plane(answer: NDArray[np.generic], given: tuple[int, ...]) -> NDArray[np.generic]:
    """Return the answer as (h, w).

    Raises:
        DepthError: it is something else than one number a pixel.
    """
    shape = answer.shape
    flat = 2 <= len(shape) <= 4 and all(side == 1 for side in shape[:-2])
    if not flat or answer.dtype.kind != "f":
        raise _refused(
            f"{answer.dtype} of shape {shape}", "export the network with depth as its only output"
        )
    down, across = shape[-2] / given[-2], shape[-1] / given[-1]
    # Each side is rounded by less than a pixel of the answer.
    slack = 1.0 / given[-2] + 1.0 / given[-1]
    if min(down, across) < _SMALLEST or abs(down - across) > slack:
        raise _refused(
            f"{shape[-1]}x{shape[-2]} values for an image of {given[-1]}x{given[-2]}",
            "use a model whose output has the shape of its input, whole or reduced",
        )
    return answer.reshape(shape[-2:])


def _refused(got: str, do: str) -> DepthError:
    return DepthError.from_parts(
        "output of the ONNX depth network",
        got,
        "one number a pixel: float (1, height, width), with or without a channel",
        do,
    )
