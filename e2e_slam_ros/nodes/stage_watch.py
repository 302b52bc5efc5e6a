"""Whether the other nodes of a split system are there."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

# Each node of the split system publishes a topic that nobody else does.
_TOPICS = {
    "keyframe_node": "keyframe/pose",
    "depth_node": "keyframe/depth",
    "mapper_node": "map/active",
}
_PERIOD_S = 0.5
# Nodes of one launch file start within this time of each other.
_START_S = 10.0
# A node that has appeared finds its other topics within this time.
_SETTLE_S = 1.0


class StageWatch:
    """Looks for the publishers of the other stages twice a second (executor thread).

    A node that was killed counts for 20 seconds more: so long does Fast DDS wait for it.

    Args:
        node: one of the stages.
        me: its executable.
        on_return: called when a stage has appeared, also one that took the place of another.
    """

    def __init__(self, node: Node, me: str, on_return: Callable[[], None] = lambda: None) -> None:
        self._node = node
        self._topics = {name: topic for name, topic in _TOPICS.items() if name != me}
        self._on_return = on_return
        self._begun_s = time.monotonic()
        self._known: dict[str, set[bytes]] = {name: set() for name in self._topics}
        self._absent = set(self._topics)
        self._appeared_s: float | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD_S, self.check, clock=steady)

    @property
    def complete(self) -> bool:
        """Whether every stage is there and has found its topics."""
        return not self._absent and self._appeared_s is None

    def check(self) -> None:
        """Look at the graph now."""
        for name, topic in self._topics.items():
            infos = self._node.get_publishers_info_by_topic(self._node.resolve_topic_name(topic))
            there = {bytes(info.endpoint_gid) for info in infos}
            if there - self._known[name]:
                self._appeared_s = time.monotonic()
            self._known[name] = there
            self._absent.discard(name) if there else self._absent.add(name)
        settled = self._appeared_s is not None and (
            time.monotonic() - self._appeared_s >= _SETTLE_S
        )
        if settled and not self._absent:
            self._appeared_s = None
            self._on_return()

    def faults(self) -> list[str]:
        """Return a sentence for each stage that is missing."""
        if time.monotonic() - self._begun_s < _START_S:
            return []
        return [
            f"{name} is missing: got no publisher of "
            f"{self._node.resolve_topic_name(self._topics[name])}, expected one; start {name}, in "
            "the same ROS domain and namespace"
            for name in sorted(self._absent)
        ]
