"""A subscription to camera_info, also to one that was published once before this node began."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from sensor_msgs.msg import CameraInfo

from e2e_slam_ros.config import RuntimeConfig
from e2e_slam_ros.nodes.qos import image_subscription, latched_small

_PERIOD_S = 0.1


class InfoSubscription:
    """Receives camera_info from publishers of either durability.

    The queue is no longer than that of images: a broken publisher may send megabytes.
    A second, transient-local subscription is made once a publisher offers that and nothing has
    arrived. It would be incompatible with volatile publishers, and both sides would log so.

    Args:
        receive: called with each message.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        runtime: RuntimeConfig,
        receive: Callable[[CameraInfo], None],
    ) -> None:
        self._node = node
        self._topic = node.resolve_topic_name(topic)
        self._receive = receive
        self._heard = False
        self._subscriptions = [
            node.create_subscription(CameraInfo, topic, self._on_info, image_subscription(runtime))
        ]
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD_S, self._look, clock=steady)

    def _on_info(self, msg: CameraInfo) -> None:
        self._heard = True
        self._receive(msg)

    def _look(self) -> None:
        if self._heard or len(self._subscriptions) > 1:
            return
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        kinds = {info.qos_profile.durability for info in publishers}
        if DurabilityPolicy.TRANSIENT_LOCAL in kinds:
            self._subscriptions.append(
                self._node.create_subscription(
                    CameraInfo, self._topic, self._on_info, latched_small()
                )
            )
