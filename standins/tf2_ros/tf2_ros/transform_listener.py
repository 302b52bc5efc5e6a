"""Listener that fills a Buffer from /tf and /tf_static."""

from __future__ import annotations

import threading

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from .buffer import Buffer

QUEUE = 100
AUTHORITY = "default_authority"


class TransformListener:
    """Subscribes as long as it is referenced.

    With `spin_thread` it spins `node` in its own thread.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | None = None,
        static_qos: QoSProfile | None = None,
    ) -> None:
        self.buffer = buffer
        self.node = node
        self.group = ReentrantCallbackGroup()
        latched = QoSProfile(depth=QUEUE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.tf_sub = node.create_subscription(
            TFMessage,
            "/tf",
            self.callback,
            qos or QoSProfile(depth=QUEUE),
            callback_group=self.group,
        )
        self.tf_static_sub = node.create_subscription(
            TFMessage,
            "/tf_static",
            self.static_callback,
            static_qos or latched,
            callback_group=self.group,
        )
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.executor.add_node(node)
            self.dedicated_listener_thread = threading.Thread(
                target=self.executor.spin, name="tf2_ros", daemon=True
            )
            self.dedicated_listener_thread.start()

    def callback(self, data: TFMessage) -> None:
        """Add moving transforms to the buffer."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, AUTHORITY)

    def static_callback(self, data: TFMessage) -> None:
        """Add static transforms to the buffer."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, AUTHORITY)

    def unregister(self) -> None:
        """Stop listening."""
        if hasattr(self, "executor"):
            self.executor.shutdown()
        self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)
