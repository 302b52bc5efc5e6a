"""Broadcaster of transforms that never change. Late subscribers receive all of them."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Sends TransformStamped messages on /tf_static, latched."""

    def __init__(self, node: Node, qos: QoSProfile | None = None) -> None:
        qos = qos or QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:  # noqa: N802
        """Add transforms to the latched message. It always holds every transform."""
        several = [transform] if isinstance(transform, TransformStamped) else list(transform)
        self._sent.update((one.child_frame_id, one) for one in several)
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))
