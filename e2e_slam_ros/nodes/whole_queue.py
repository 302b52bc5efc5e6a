"""Subscriptions to small messages that may come faster than a busy node looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from e2e_slam_ros.nodes.counting_executor import clear_error


def subscribe_whole_queue(
    node: Node, kind: type, topic: str, receive: Callable[[Any], None], qos: QoSProfile
) -> Any:
    """Subscribe, and take everything that waits each time.

    rclpy takes one message of a topic in each round of its executor. A node that is slower than
    its camera makes fewer rounds than there are poses: their queue stays full, and each one is
    taken when its image is long gone. Images have a short queue, and the newest ones count.
    """

    def receive_all(msg: Any) -> None:
        receive(msg)
        # No more than the queue holds: others have their turn too.
        for _ in range(qos.depth):
            with subscription.handle:
                taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is None:
                # Nothing waits, or it cannot be decoded.
                if clear_error() and hasattr(node, "undecodable"):
                    node.undecodable(subscription.topic_name)
                return
            receive(taken[0])

    subscription = node.create_subscription(kind, topic, receive_all, qos)
    return subscription
