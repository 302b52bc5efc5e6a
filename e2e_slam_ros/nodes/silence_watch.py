"""Finds the reason why no images arrive."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from e2e_slam_ros.data.stream import IMAGE
from e2e_slam_ros.nodes.topic_survey import TopicSurvey, image_topics

_CHECK_PERIOD_S = 1.0


class SilenceWatch:
    """Reports the likely reason of a silence, once for each silence.

    If nobody publishes the images, the report says which topics of the graph would fit
    (`topic_survey`).

    Args:
        reliable: whether the subscription is reliable.
        limit_s: seconds of silence before a report; 0 means never.
        kind: message type of the subscription.
        first_only: report only a silence before the first image. Later a player in lock-step waits
            for answers, however long they take.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        reliable: bool,
        limit_s: float,
        report: Callable[[str], None],
        kind: str = IMAGE,
        first_only: bool = False,
    ) -> None:
        self._kind = kind
        self._first_only, self._begun = first_only, False
        self.limit_s = limit_s
        self._node = node
        self._topic = node.resolve_topic_name(topic)
        self._reliable = reliable
        self._report = report
        self._last_s = time.monotonic()
        self._said = False
        self._survey: TopicSurvey | None = None
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_CHECK_PERIOD_S, self.check, clock=steady)

    def heard(self) -> None:
        """Record that an image arrived."""
        self._last_s = time.monotonic()
        self._said, self._begun = False, True
        if self._survey is not None:
            self._survey.close()
            self._survey = None

    def check(self) -> None:
        """Report a silence longer than the limit.

        Where nobody publishes such images, the image topics of the graph are looked at first: the
        report then comes a few calls later.
        """
        if self._survey is not None:
            self._survey.poll()
            return
        if self._first_only and self._begun:
            return
        silent_s = time.monotonic() - self._last_s
        if self._said or self.limit_s <= 0 or silent_s < self.limit_s:
            return
        self._said = True
        text = f"no image for {silent_s:.0f} s: {self.reason()}"
        if self._is_published() or not image_topics(self._node, (self._topic,)):
            self._report(text)
            return

        def done(sentences: list[str]) -> None:
            self._survey = None
            self._report(f"{text}; the image topics that there are: {'; '.join(sentences)}")

        self._survey = TopicSurvey(self._node, done, (self._topic,))

    def _is_published(self) -> bool:
        """Return whether somebody publishes the topic with the right type."""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        return any(info.topic_type == self._kind for info in publishers)

    def reason(self) -> str:
        """Return the likely reason, judged from the publishers and their QoS."""
        publishers = self._node.get_publishers_info_by_topic(self._topic)
        if not publishers:
            return f"nobody publishes {self._topic}; start the camera or remap camera/image_raw"
        types = {info.topic_type for info in publishers}
        if self._kind not in types:
            return f"{self._topic} carries {', '.join(types)}, expected {self._kind}"
        offered = {info.qos_profile.reliability for info in publishers}
        if self._reliable and ReliabilityPolicy.RELIABLE not in offered:
            return (
                f"{self._topic} is published best effort and subscribed reliable (policy "
                "RELIABILITY); set runtime.reliability to best_effort"
            )
        return f"{self._topic} has a publisher that sends nothing, or the network loses it"
