"""Options of the dataset player."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass, field
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.nodes.parameters import unknown_overrides


def _option(default: bool | float | str, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True)
class PlayerOptions:
    """Parameters of `dataset_player`.

    Raises:
        ConfigError: a rate or a time that is not positive.
    """

    data: str = _option("", "sequence to play: a TUM or ICL-NUIM folder, or a bag")
    frames: str = _option("", "part of it as A:B; empty: all")
    rate: float = _option(1.0, "speed relative to the recording; unused in lock-step")
    lockstep: bool = _option(False, "send the next frame when `processed` answers the last one")
    timeout_s: float = _option(5.0, "lock-step: seconds without an answer until a frame is resent")
    give_up_s: float = _option(120.0, "lock-step: seconds without an answer until playing ends")
    wait_s: float = _option(30.0, "seconds to wait for subscribers before the first frame")
    map_frame: str = _option("map", "frame of the ground-truth poses")
    camera_frame: str = _option("camera_optical_frame", "frame of the images")
    progress: bool = _option(True, "show a progress bar where stderr is a terminal")

    def __post_init__(self) -> None:
        for name in ("rate", "timeout_s", "give_up_s"):
            value = getattr(self, name)
            if not 0.0 < value < float("inf"):
                raise ConfigError.from_parts(
                    f"parameter {name}", value, "a positive number", "correct it"
                )

    @staticmethod
    def declared_on(node: Node) -> PlayerOptions:
        """Declare every option as a read-only parameter and return the values.

        Raises:
            ConfigError: an unknown parameter, a wrong type or a value out of range.
        """
        known = [item.name for item in dataclasses.fields(PlayerOptions)]
        for name in unknown_overrides(node, known):
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise ConfigError.from_parts(
                "parameter", repr(name), "a known name", f"did you mean {nearest}?"
            )
        values = {}
        for item in dataclasses.fields(PlayerOptions):
            doc = ParameterDescriptor(
                name=item.name, description=item.metadata["doc"], read_only=True
            )
            try:
                values[item.name] = node.declare_parameter(item.name, item.default, doc).value
            except InvalidParameterTypeException as error:
                raise ConfigError.from_parts(
                    f"parameter {item.name}",
                    "another type",
                    f"a {type(item.default).__name__}",
                    "correct it (rate:=1.0, lockstep:=true)",
                ) from error
        return PlayerOptions(**values)
