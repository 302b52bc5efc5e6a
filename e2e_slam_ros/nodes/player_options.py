"""Options of the dataset player."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rclpy.node import Node

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.input import InputOptions
from e2e_slam_ros.config.leaf import leaf, leaves
from e2e_slam_ros.nodes.parameters import declared


@dataclass(frozen=True)
class PlayerOptions(InputOptions):
    """Parameters of `dataset_player`: those of the input, and of playing.

    ``map_frame`` and ``camera_frame`` are also the frames of the published messages.

    Raises:
        ConfigError: a rate or a time that is not positive.
    """

    data: str = leaf("", "sequence to play: a recording of any layout that is read")
    frames: str = leaf("", "part of it as A:B; empty: all")
    rate: float = leaf(1.0, "speed relative to the recording; unused in lock-step")
    lockstep: bool = leaf(False, "send the next frame when `processed` answers the last one")
    timeout_s: float = leaf(5.0, "lock-step: seconds without an answer until a frame is resent")
    give_up_s: float = leaf(120.0, "lock-step: seconds without an answer until playing ends")
    wait_s: float = leaf(30.0, "seconds to wait for subscribers before the first frame")
    progress: bool = leaf(True, "show a progress bar where stderr is a terminal")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rate", "timeout_s", "give_up_s"):
            value = getattr(self, name)
            if not 0.0 < value < float("inf"):
                raise ConfigError.from_parts(
                    f"parameter {name}", value, "a positive number", "correct it"
                )

    @property
    def input(self) -> InputOptions:
        """The options of the input alone."""
        return InputOptions(**{i.name: getattr(self, i.name) for i in fields(InputOptions)})

    @staticmethod
    def declared_on(node: Node) -> PlayerOptions:
        """Declare every option as a read-only parameter and return the values.

        Raises:
            ConfigError: an unknown parameter, a wrong type or a value out of range.
        """
        return PlayerOptions(**declared(node, tuple(leaves(PlayerOptions()))))
