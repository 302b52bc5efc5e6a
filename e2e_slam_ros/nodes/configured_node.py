"""The base of the nodes: the configuration tree as parameters, diagnostics, services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import MessageError
from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.parameters import NodeParameters
from e2e_slam_ros.nodes.process_facts import memory_mb, use_threads
from e2e_slam_ros.nodes.status_output import StatusOutput
from e2e_slam_ros.nodes.trigger_services import TriggerServices
from e2e_slam_ros.slam.worker import KeyframeWorker


class ConfiguredNode(Node):  # type: ignore[misc]
    """A node whose parameters are the configuration tree, with one worker thread.

    Raises:
        ConfigError: a parameter that cannot be used.
    """

    worker: KeyframeWorker[Any]
    # Why the end of the node lost something, in one line; None: it did not.
    failure: str | None = None

    def __init__(
        self, name: str, context: Context | None, parameter_overrides: Sequence[Parameter]
    ) -> None:
        super().__init__(name, context=context, parameter_overrides=list(parameter_overrides))
        self._settings = NodeParameters(self, self._reconfigure, self._check)
        use_threads(self.config.runtime.threads)
        self.diagnostics = Diagnostics(self, self._all_facts)
        self._triggers = TriggerServices(self, self.diagnostics)
        self._status = StatusOutput(self, self._stated)

    @property
    def config(self) -> Config:
        """The parameters as they are now."""
        return self._settings.config

    @property
    def busy(self) -> bool:
        """Whether somebody waits for the answer of a service (executor thread)."""
        return self._triggers.busy

    def undecodable(self, topic: str) -> None:
        """Count a message that could not be decoded (executor thread)."""
        self.diagnostics.problem(
            "undecodable",
            MessageError.from_parts(
                f"message on {topic}",
                "bytes that are no message of its type",
                "the same message definition on both ends",
                "check the ROS distribution and the message package of the sender",
            ),
        )

    def close(self) -> None:
        """End the threads."""
        self.worker.stop()

    def _check(self, config: Config) -> None:
        """Raise `ConfigError` for live parameters that cannot be taken."""

    def _reconfigure(self, config: Config) -> None:
        """Take live parameters that changed."""

    def _facts(self) -> Mapping[str, object]:
        """Return what diagnostics show besides problems and latencies."""
        return {}

    def _stated(self) -> Mapping[str, object]:
        """Return what ``~/status`` says; "state" in one word, then facts."""
        return {"state": "running", **self._facts()}

    def _all_facts(self) -> dict[str, object]:
        return {**self._facts(), "dropped": self.worker.dropped, "memory_mb": memory_mb()}
