"""Counts of a node, on /diagnostics and, throttled, in its log."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.nodes.qos import reliable
from e2e_slam_ros.slam.problems import ProblemCounter
from e2e_slam_ros.slam.refusals import refusal_kind

_PERIOD_S = 1.0
# At most one log line a kind in this time. The line ends with the count.
_LOG_EVERY_S = 5.0
# The status stays WARN for this long after a problem.
_RECENT_S = 10.0
_LATENCIES_KEPT = 200


class Diagnostics:
    """Counts problems and latencies of one node and reports them once a second. Thread-safe.

    Args:
        node: publishes ``/diagnostics`` and owns the log.
        facts: called for each report; returns further values (frames, surfels, ...).
        faults: called for each report; returns what is missing, in sentences.
    """

    def __init__(
        self,
        node: Node,
        facts: Callable[[], Mapping[str, object]],
        faults: Callable[[], Sequence[str]] = lambda: (),
    ) -> None:
        self.problems = ProblemCounter()
        self._node = node
        self._facts = facts
        self._faults = faults
        self._lock = threading.Lock()
        self._last_logged: dict[str, float] = {}
        self._last_problem = (-_RECENT_S, "")
        self._latency_ms: dict[str, deque[float]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", reliable())
        # Wall time, because with use_sim_time a paused player would stop the reports.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD_S, self.publish, clock=steady)

    def problem(self, kind: str, error: Exception | str) -> None:
        """Count a problem. The first of a kind is logged, and then one every few seconds."""
        total = self.problems.count(kind)
        now = time.monotonic()
        with self._lock:
            self._last_problem = (now, f"{kind}: {error}")
            if now - self._last_logged.get(kind, -_LOG_EVERY_S) < _LOG_EVERY_S:
                return
            self._last_logged[kind] = now
        count = f" (no. {total})" if total > 1 else ""
        text = str(error)
        if isinstance(error, Exception) and not isinstance(error, E2ESlamError):
            text = f"{type(error).__name__}: {error}"
        self._node.get_logger().warning(f"{kind}{count}: {text}")

    def refused(self, error: Exception) -> None:
        """Count an input that was refused, under the kind of its error."""
        self.problem(refusal_kind(error), error)

    def latency(self, stage: str, ms: float) -> None:
        """Record the run time of one pass through a stage, milliseconds."""
        with self._lock:
            self._latency_ms.setdefault(stage, deque(maxlen=_LATENCIES_KEPT)).append(ms)

    def status(self) -> DiagnosticStatus:
        """Return the node's state in one message."""
        totals = self.problems.totals()
        with self._lock:
            when, sentence = self._last_problem
            stages = {stage: list(times) for stage, times in self._latency_ms.items()}
        recent = time.monotonic() - when < _RECENT_S
        values = {name: str(value) for name, value in self._facts().items()}
        values |= {f"problems.{kind}": str(total) for kind, total in sorted(totals.items())}
        for stage, times in stages.items():
            p50, p95 = np.percentile(times, (50, 95))
            values[f"latency_ms.{stage}.p50"] = f"{p50:.2f}"
            values[f"latency_ms.{stage}.p95"] = f"{p95:.2f}"
        level, message = DiagnosticStatus.OK, "running"
        if recent:
            level, message = DiagnosticStatus.WARN, sentence
        if faults := self._faults():
            level, message = DiagnosticStatus.ERROR, "; ".join(faults)
        return DiagnosticStatus(
            level=level,
            name=self._node.get_fully_qualified_name(),
            message=message,
            hardware_id="e2e_slam_ros",
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )

    def publish(self) -> None:
        """Publish the status now."""
        msg = DiagnosticArray(status=[self.status()])
        msg.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(msg)
