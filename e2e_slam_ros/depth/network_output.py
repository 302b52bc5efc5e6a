"""What the numbers mean that a network of other authors predicts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

import torch

from e2e_slam_ros.config.errors import ConfigError

_SETTING = "depth.network.output"
# Nearest depth and inverse depth kept; bicubic resizing may give less, and even negative values.
_LEAST = {"metres": 1e-3}
_LEAST_OF_OTHERS = 1e-6


class NetworkOutput(Enum):
    """The meaning of a network's prediction; the values are those of ``depth.network.output``.

    Networks of "relative" depth, as MiDaS, DPT and Depth Anything, predict inverse depth up to
    factor and shift (Ranftl et al. 2020, section 5).

    >>> output = NetworkOutput("metres")
    >>> output.metric, output.shifted, output.disparity(torch.tensor([2.0, -1.0]))
    (True, False, tensor([5.0000e-01, 1.0000e+03]))
    """

    METRES = "metres"
    DEPTH = "depth"
    INVERSE_DEPTH = "inverse_depth"
    SHIFTED_INVERSE_DEPTH = "shifted_inverse_depth"

    @property
    def metric(self) -> bool:
        """Whether it is depth in metres."""
        return self is NetworkOutput.METRES

    @property
    def shifted(self) -> bool:
        """Whether its inverse depth has an unknown shift."""
        return self is NetworkOutput.SHIFTED_INVERSE_DEPTH

    def disparity(self, values: torch.Tensor) -> torch.Tensor:
        """Return the disparity (> 0) of predicted values of any shape. NaN stays NaN."""
        least = values.clamp_min(_LEAST.get(self.value, _LEAST_OF_OTHERS))
        return least.reciprocal() if self in (self.METRES, self.DEPTH) else least


def declared_output(config: Mapping[str, object]) -> NetworkOutput | None:
    """Return the meaning of a model's output by its ``config.json``; None: not given there.

    >>> declared_output({"model_type": "depth_anything", "depth_estimation_type": "metric"})
    <NetworkOutput.METRES: 'metres'>
    >>> declared_output({"model_type": "dpt"}).shifted
    True
    """
    kind = config.get("model_type")
    if kind in ("zoedepth", "glpn"):
        return NetworkOutput.METRES
    if kind == "dpt":
        return NetworkOutput.SHIFTED_INVERSE_DEPTH
    # Files of before the first metric network of this kind do not have the entry.
    before = "relative" if kind == "depth_anything" else None
    declared = {
        "metric": NetworkOutput.METRES,
        "relative": NetworkOutput.SHIFTED_INVERSE_DEPTH,
    }
    return declared.get(str(config.get("depth_estimation_type", before)))


def chosen_output(setting: str, config: Mapping[str, object], path: Path) -> NetworkOutput:
    """Return the meaning of a network's prediction.

    Args:
        setting: ``depth.network.output``.
        config: content of the model's ``config.json``; empty where there is none.
        path: of the model, for the message.

    Raises:
        ConfigError: the setting is "auto", and the model does not say.
    """
    if setting != "auto":
        return NetworkOutput(setting)
    declared = declared_output(config)
    if declared is None:
        raise ConfigError.from_parts(
            _SETTING,
            f"auto with {path}, which does not say what it predicts",
            ", ".join(output.value for output in NetworkOutput),
            "choose what its authors say: metres for a metric network, shifted_inverse_depth for "
            "a relative one (MiDaS, DPT, Depth Anything), depth or inverse_depth where only the "
            "factor is unknown",
        )
    return declared
