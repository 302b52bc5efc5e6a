"""A watch over a managed node of a launch: one that hangs is treated as one that failed."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import Any

from launch import LaunchContext
from launch.actions import RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.logging import get_logger
from launch_ros.actions import LifecycleNode
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.srv import GetState
from rclpy.clock import Clock, ClockType

_PERIOD_S = 1.0
# A question or its answer may be lost while the ends find each other.
_ASK_AGAIN_S = 5.0


class NodeWatch:
    """Asks a node for the state of its life cycle each second, and kills it if it never answers.

    This is what nav2's bond is for. The state is asked for instead, because a node in Python has
    no bond. A process that does not run any more is left to launch: it ends everything, or starts
    the node again (``respawn``). So is one that was killed here. A node is watched once it has
    answered for the first time: it may load for long.

    Args:
        node: the action that starts it.
        limit_s: seconds without an answer.
    """

    def __init__(self, node: LifecycleNode, limit_s: float) -> None:
        self._node = node
        self._limit_s = limit_s
        self._process: int | None = None
        self._heard_s: float | None = None
        self._asked_s = 0.0
        self._answer: Any = None
        self._client: Any = None

    def handlers(self) -> list[RegisterEventHandler]:
        """Return the event handlers that a launch description needs beside the node."""
        begin = OnProcessStart(target_action=self._node, on_start=self._begin)
        end = OnProcessExit(target_action=self._node, on_exit=self._end)
        return [RegisterEventHandler(begin), RegisterEventHandler(end)]

    def _begin(self, event: Any, context: LaunchContext) -> None:
        self._process, self._heard_s, self._answer = event.pid, None, None
        if self._client is not None:  # started again
            return
        node = get_ros_node(context)
        self._client = node.create_client(GetState, f"{self._node.node_name}/get_state")
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD_S, lambda: self._look(context), clock=steady)

    def _end(self, event: Any, context: LaunchContext) -> None:
        self._process = self._heard_s = None

    def _look(self, context: LaunchContext) -> None:
        process, now = self._process, time.monotonic()
        if process is None or context.is_shutdown:
            return
        name, log = self._node.node_name, get_logger(self._node.name)
        if self._answer is not None and self._answer.done():
            if self._heard_s is None:
                log.info(f"{name} answers, and is watched")
            self._answer, self._heard_s = None, now
        if self._heard_s is not None and now - self._heard_s > self._limit_s:
            self._heard_s = None
            log.error(
                f"{name}: got no answer of get_state for {self._limit_s:g} s, expected one each "
                "second; it hangs and is killed (argument watch_s)"
            )
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        elif self._client.service_is_ready():
            self._ask(now)

    def _ask(self, now: float) -> None:
        if self._answer is not None:
            if now - self._asked_s < _ASK_AGAIN_S:
                return
            self._client.remove_pending_request(self._answer)
        self._answer, self._asked_s = self._client.call_async(GetState.Request()), now
