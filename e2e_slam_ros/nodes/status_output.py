"""The state of a node in one line, for people and scripts."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from std_msgs.msg import String

from e2e_slam_ros.nodes.qos import latched

_PERIOD_S = 1.0


class StatusOutput:
    """Publishes ``~/status`` once a second and latched: a JSON object.

    Args:
        values: called for each message; returns the keys and their values.
    """

    def __init__(self, node: Node, values: Callable[[], Mapping[str, object]]) -> None:
        self._values = values
        self._publisher = node.create_publisher(String, "~/status", latched())
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD_S, self.publish, clock=steady)

    def publish(self) -> None:
        """Publish the status now."""
        self._publisher.publish(String(data=as_json(self._values())))


def as_json(values: Mapping[str, object]) -> str:
    """Return values as JSON: what it has no type for becomes text, infinity becomes null.

    Example:
        >>> as_json({"keyframes": 3, "scale_sigma": float("inf"), "device": object})[:37]
        '{"keyframes": 3, "scale_sigma": null,'
    """

    def plain(value: object) -> object:
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return value if isinstance(value, bool | int | str) or value is None else str(value)

    return json.dumps({name: plain(value) for name, value in values.items()})
