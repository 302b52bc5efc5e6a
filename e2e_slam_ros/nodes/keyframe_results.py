"""What became of each keyframe: the answer of the stages behind to `keyframe_node`."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node

from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.nodes.stamps import ns_to_stamp, stamp_to_ns

_DEPTH = 100


class KeyframeFate(str, Enum):
    """What became of a keyframe.

    Example:
        >>> KeyframeFate("fused") is KeyframeFate.FUSED
        True
    """

    FUSED = "fused"
    REFUSED = "refused"
    DROPPED = "dropped"


_LEVELS = {
    KeyframeFate.FUSED: DiagnosticStatus.OK,
    KeyframeFate.DROPPED: DiagnosticStatus.WARN,
    KeyframeFate.REFUSED: DiagnosticStatus.ERROR,
}


class ResultOutput:
    """Publishes ``keyframe/result``: the keyframe's stamp, its fate and the reason. Any thread."""

    def __init__(self, node: Node) -> None:
        self._name = node.get_fully_qualified_name()
        self._publisher = node.create_publisher(
            DiagnosticArray, "keyframe/result", reliable(_DEPTH)
        )

    def send(self, stamp_ns: int, fate: KeyframeFate, reason: str = "") -> None:
        """Say what became of a keyframe."""
        message = f"{fate.value}: {reason}" if reason else fate.value
        status = DiagnosticStatus(level=_LEVELS[fate], name=self._name, message=message)
        msg = DiagnosticArray(status=[status])
        msg.header.stamp = ns_to_stamp(stamp_ns)
        self._publisher.publish(msg)


class ResultInput:
    """Listens to ``keyframe/result``.

    Args:
        receive: called with the stamp, the fate, and who says so and why.
    """

    def __init__(self, node: Node, receive: Callable[[int, KeyframeFate, str], None]) -> None:
        self._receive = receive
        self._subscription = node.create_subscription(
            DiagnosticArray, "keyframe/result", self._on_result, reliable(_DEPTH)
        )

    def _on_result(self, msg: DiagnosticArray) -> None:
        for status in msg.status:
            word, _, reason = status.message.partition(": ")
            try:
                fate = KeyframeFate(word)
            except ValueError:  # of another version, or somebody else's
                continue
            self._receive(stamp_to_ns(msg.header.stamp), fate, f"{status.name}: {reason}")
