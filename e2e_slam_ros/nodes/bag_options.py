"""Options of the bag player."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node

from e2e_slam_ros.config.leaf import leaf, leaves
from e2e_slam_ros.nodes.parameters import declared


@dataclass(frozen=True)
class BagOptions:
    """Parameters of `bag_player`."""

    bag: str = leaf("", "rosbag2 to play: its folder or its file")
    rate: float = leaf(1.0, "speed relative to the recording", low=0.001, high=1000.0)
    image_topic: str = leaf("", "topic that the bag must have; empty: none")
    wait_for: str = leaf("", "topics that must have a subscriber before the start, with spaces")
    wait_s: float = leaf(600.0, "longest time to wait for subscribers, seconds", low=0.0)

    @staticmethod
    def declared_on(node: Node) -> BagOptions:
        """Declare every option as a read-only parameter and return the values.

        Raises:
            ConfigError: an unknown parameter, a wrong type or a value out of range.
        """
        return BagOptions(**declared(node, tuple(leaves(BagOptions()))))
