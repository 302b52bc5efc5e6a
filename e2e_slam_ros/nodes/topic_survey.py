"""The image topics of the graph, judged by the input policy."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image

from e2e_slam_ros.config.errors import DataError
from e2e_slam_ros.config.input import in_ros
from e2e_slam_ros.data.input_policy import Selection, select
from e2e_slam_ros.data.packet_video import can_decode
from e2e_slam_ros.data.stream import COMPRESSED_IMAGE, IMAGE, Stream, stream_of_message

_TYPES: dict[str, type] = {IMAGE: Image, COMPRESSED_IMAGE: CompressedImage}
# Each subscription costs a camera's bandwidth while it lasts.
_MOST_TOPICS = 16
_PATIENCE_S = 2.0


class TopicSurvey:
    """Looks at one message of each image topic, and says which of them a run would use.

    The score and the sentences are those of recordings (`input_policy`). Subscriptions are best
    effort, which fits every publisher. They end after the first message, or after two seconds.

    Args:
        done: called once with the sentences, from `poll`.
        but: topics to leave out.
    """

    def __init__(
        self, node: Node, done: Callable[[list[str]], None], but: tuple[str, ...] = ()
    ) -> None:
        self._node, self._done = node, done
        self._streams: dict[str, Stream] = {}
        self._until = time.monotonic() + _PATIENCE_S
        self.is_over = False
        found = image_topics(node, but)
        self._left_out = [name for name, _ in found[_MOST_TOPICS:]]
        self._open: dict[str, Any] = {
            name: node.create_subscription(
                _TYPES[kind], name, partial(self._receive, name, kind), qos_profile_sensor_data
            )
            for name, kind in found[:_MOST_TOPICS]
        }

    def poll(self) -> None:
        """End the subscriptions that are not needed any more, and the survey with the last one."""
        if self.is_over:
            return
        for name in [name for name in self._open if name in self._streams]:
            self._node.destroy_subscription(self._open.pop(name))
        if self._open and time.monotonic() < self._until:
            return
        sentences = self.sentences()
        self.close()
        self._done(sentences)

    def close(self) -> None:
        """End all subscriptions."""
        self.is_over = True
        for subscription in self._open.values():
            self._node.destroy_subscription(subscription)
        self._open.clear()

    def sentences(self) -> list[str]:
        """Return one line a topic, as for recordings, and how to use what was chosen."""
        lines: list[str] = []
        if self._streams:
            try:
                chosen = select(list(self._streams.values()), videos=can_decode())
                lines = [*chosen.sentences(), _remapping(chosen)]
            except DataError as refusal:
                lines = [str(refusal)]
        silent = sorted(name for name in self._open if name not in self._streams)
        lines += [f"not judged: {name} sends nothing" for name in silent]
        if self._left_out:
            lines.append(f"not looked at: {', '.join(self._left_out)}")
        return [in_ros(line) for line in lines]

    def _receive(self, name: str, kind: str, message: Any) -> None:
        if name not in self._streams:
            self._streams[name] = stream_of_message(name, kind, message)


def image_topics(node: Node, but: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    """Return name and type of the image topics that have a publisher, sorted."""
    return sorted(
        (name, kind)
        for name, kinds in node.get_topic_names_and_types()
        for kind in kinds
        if kind in _TYPES and name not in but and node.count_publishers(name)
    )


def _remapping(chosen: Selection) -> str:
    """Return the arguments that make a node use what was chosen."""
    colour = chosen.colour.stream
    pairs = [("camera/image_raw", colour.base), ("camera/camera_info", _info(colour))]
    if chosen.depth is not None:
        pairs.append(("camera/depth/image_raw", chosen.depth.stream.base))
    text = "use them: --ros-args " + " ".join(f"-r {name}:={topic}" for name, topic in pairs)
    if colour.kind == COMPRESSED_IMAGE:
        text += " -p camera.transport:=compressed"
    return text


def _info(stream: Stream) -> str:
    return f"{stream.namespace}/camera_info"
