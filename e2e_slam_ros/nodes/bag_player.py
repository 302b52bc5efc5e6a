"""A node that plays a rosbag2, from its first message on, once somebody listens.

`ros2 bag play` starts at once, or after a fixed delay. What it sends before the subscribers have
found it is lost: at worst the whole recording.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from typing import Any

from rclpy.context import Context
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool

from e2e_slam_ros.config.errors import ConfigError, DataError, E2ESlamError
from e2e_slam_ros.config.leaf import leaves
from e2e_slam_ros.data.bag_file import BagFile, RecordedMessage, Topic
from e2e_slam_ros.nodes.bag_options import BagOptions
from e2e_slam_ros.nodes.last_answer import LastAnswer
from e2e_slam_ros.nodes.pace import Pace
from e2e_slam_ros.nodes.qos import latched, reliable
from e2e_slam_ros.nodes.spinning import run_player
from e2e_slam_ros.nodes.stamps import ns_to_stamp

_TICK_S = 0.05
# After the first topics have subscribers: time for the others, and for the other side to match.
_SETTLE_S = 0.5
_FLUSH_S = 5.0
_CLOCK_NS = 10_000_000
_DEPTH = 50
# Static transforms of all robots of a recording; a late subscriber gets them all.
_STATIC_DEPTH = 100
_STATIC = "/tf_static"


class BagPlayer(Node):  # type: ignore[misc]
    """Publishes the messages of a rosbag2 unchanged, and ``/clock``. `play` blocks until the end.

    Raises:
        E2ESlamError: a parameter or a recording that cannot be used.
    """

    def __init__(
        self, context: Context | None = None, parameter_overrides: Sequence[Parameter] = ()
    ) -> None:
        super().__init__(
            "bag_player", context=context, parameter_overrides=list(parameter_overrides)
        )
        self.options = BagOptions.declared_on(self)
        self._bag = _open(self.options)
        self._clock = self.create_publisher(Clock, "/clock", reliable(10))
        self._answers = LastAnswer(self)
        self._outputs = self._made_outputs(self._bag.topics())
        self._pause = self.create_service(SetBool, "~/pause", self._on_pause)
        self._paused = self._stopping = False

    def play(self) -> int:
        """Wait for subscribers, then publish every message. Return the number published.

        Raises:
            E2ESlamError: nobody subscribes, or the recording is damaged.
        """
        self._wait_for_subscribers()
        start, sent, clock_ns, image_ns = time.monotonic(), 0, -_CLOCK_NS, -1
        pace = Pace(self.options.rate)
        for message in self._bag.recorded():
            self._hold(pace, message)
            if self._stopping:
                break
            if message.recorded_ns - clock_ns >= _CLOCK_NS:
                clock_ns = message.recorded_ns
                self._clock.publish(Clock(clock=ns_to_stamp(clock_ns)))
            output = self._outputs.get((message.topic, message.type))
            if output is not None:
                output.publish(message.data)
                sent += 1
            if message.topic == self.options.image_topic:
                image_ns = message.stamp_ns
        for output in self._outputs.values():
            if not self._stopping:
                output.wait_for_all_acked(Duration(seconds=_FLUSH_S))
        self._answers.wait(image_ns, lambda: self._stopping)
        self.get_logger().info(
            f"played {sent} messages of {self._bag.path.name} in {time.monotonic() - start:.1f} s"
        )
        return sent

    def stop(self) -> None:
        """Make `play` return soon. Any thread or signal handler may call it."""
        self._stopping = True

    def _made_outputs(self, topics: Sequence[Topic]) -> dict[tuple[str, str], Any]:
        """Return a publisher for each topic and its type."""
        made, unknown = {}, []
        for topic in topics:
            kind = _message_class(topic.type)
            if kind is None:
                unknown.append(f"{topic.name} ({topic.type})")
            elif topic.name != "/clock":
                static = topic.name == _STATIC
                qos = latched(_STATIC_DEPTH) if static else reliable(_DEPTH)
                made[topic.name, topic.type] = self.create_publisher(kind, topic.name, qos)
        if unknown:
            self.get_logger().warning(f"not played, their types are not here: {unknown}")
        return made

    def _wait_for_subscribers(self) -> None:
        deadline = time.monotonic() + self.options.wait_s
        names = self.options.wait_for.split()
        awaited = {name: out for (name, _), out in self._outputs.items() if name in names}
        while not self._stopping:
            deaf = [name for name, out in awaited.items() if not out.get_subscription_count()]
            if not deaf:
                time.sleep(_SETTLE_S)
                return
            if time.monotonic() > deadline:
                raise E2ESlamError.from_parts(
                    "playing",
                    f"no subscriber of {', '.join(deaf)} within {self.options.wait_s:g} s",
                    "a SLAM node that subscribes to them",
                    "start it, in the same ROS_DOMAIN_ID, with its topics remapped to these",
                )
            time.sleep(_TICK_S)

    def _hold(self, pace: Pace, message: RecordedMessage) -> None:
        """Wait until a message is due, and while the player is paused."""
        while not self._stopping:
            due_s = pace.due_in(message.recorded_ns)
            if self._paused:
                time.sleep(_TICK_S)
                pace.shift(_TICK_S)
            elif due_s <= 0:
                return
            else:
                time.sleep(min(due_s, _TICK_S))

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._paused = bool(request.data)
        response.success = True
        response.message = "paused" if self._paused else "playing"
        return response


def _open(options: BagOptions) -> BagFile:
    if not options.bag:
        raise ConfigError.from_parts("parameter bag", "nothing", "a rosbag2", "set -p bag:=PATH")
    bag = BagFile(options.bag)
    names = [topic.name for topic in bag.topics()]
    if options.image_topic and options.image_topic not in names:
        raise DataError.from_parts(
            f"recording {options.bag}",
            f"no topic {options.image_topic}, but {', '.join(names) or 'none at all'}",
            "the images' topic",
            "give image_topic:= and the other topics their names in the recording",
        )
    return bag


def _message_class(kind: str) -> Any:
    """Return the class of a message type ("sensor_msgs/msg/Image"); None: it is not installed."""
    package, _, name = kind.replace("/msg/", "/").partition("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name, None)
    except ImportError:
        return None


def main(args: Sequence[str] | None = None) -> int:
    """Play to the end, or until SIGINT or SIGTERM."""
    return run_player(BagPlayer, tuple(leaves(BagOptions())), args)


if __name__ == "__main__":
    sys.exit(main())
