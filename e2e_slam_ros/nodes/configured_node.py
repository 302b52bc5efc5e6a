"""The base of the nodes: the configuration tree as parameters, diagnostics, a life cycle."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from rclpy.context import Context
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError, MessageError
from e2e_slam_ros.nodes.diagnostics import Diagnostics
from e2e_slam_ros.nodes.node_contents import NodeContents
from e2e_slam_ros.nodes.parameters import NodeParameters
from e2e_slam_ros.nodes.process_facts import memory_mb, use_threads
from e2e_slam_ros.nodes.status_output import StatusOutput
from e2e_slam_ros.nodes.trigger_services import TriggerServices
from e2e_slam_ros.slam.worker import KeyframeWorker

# Rounds of the executor after a clean-up in which memory is freed again.
_ROUNDS = 3
_DONE, _REFUSED = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


def is_active(node: Node) -> bool:
    """Return whether a node works; one without a life cycle always does."""
    return bool(getattr(node, "active", True))


def _free_memory() -> None:
    # Objects of the start are frozen, so that no collection visits them.
    gc.unfreeze()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class ConfiguredNode(LifecycleNode, ABC):  # type: ignore[misc]
    """A managed node whose parameters are the configuration tree, with one worker thread.

    Configuring builds everything: models, memory, topics. Cleaning up takes it away again. An
    inactive node keeps what it has and ignores what comes. With ``runtime.autostart`` the
    constructor configures and activates the node.

    Raises:
        E2ESlamError: a parameter, a device or a file that cannot be used.
    """

    worker: KeyframeWorker[Any]
    # Why the end of the node lost something, in one line; None: it did not.
    failure: str | None = None
    # Whether the process should end.
    finalized = False

    def __init__(
        self, name: str, context: Context | None, parameter_overrides: Sequence[Parameter]
    ) -> None:
        super().__init__(name, context=context, parameter_overrides=list(parameter_overrides))
        self.active = False
        self._configured = False
        self._refusal: Exception | None = None
        self._settings = NodeParameters(self, self._changed, self._check_change)
        use_threads(self.config.runtime.threads)
        self.diagnostics = Diagnostics(self, self._all_facts, self._faults)
        self._status = StatusOutput(self, self._all_stated)

    def _begin(self) -> None:
        """Configure and activate the node, unless somebody else does (``runtime.autostart``)."""
        if not self.config.runtime.autostart:
            self.get_logger().info("unconfigured: waiting for a life cycle manager")
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != _DONE:
                assert self._refusal is not None
                raise self._refusal

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Build everything. What cannot be built is refused, and the reason is logged."""
        contents = NodeContents(self)
        self._contents, self._open = contents, ExitStack()
        self._triggers = TriggerServices(self, self.diagnostics)
        try:
            self._configure()
        except Exception as error:
            self._refusal = error
            self._open.close()
            contents.remove()
            if not self.config.runtime.autostart or not isinstance(error, E2ESlamError):
                self.get_logger().error(f"not configured: {error}")
            return _REFUSED
        self._configured = True
        return _DONE

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Process messages from now on."""
        self.active = True
        return _DONE

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ignore messages from now on, and keep the map."""
        self.active = False
        return _DONE

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free all memory. A map that cannot be saved is kept instead."""
        if not self._is_saved():
            return _REFUSED
        self.close()
        self._configured = False
        self._contents.remove()
        self._free_memory(_ROUNDS)
        return _DONE

    def _free_memory(self, rounds: int) -> None:
        """Free memory now and in each of the executor's next ``rounds``.

        Until a round is over the executor knows the topics of before, and what they lead to.
        """
        _free_memory()
        if rounds and self.executor is not None:
            self.executor.create_task(self._free_memory, rounds - 1)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """End the process."""
        self.active = False
        self.finalized = True
        return _DONE

    def destroy_node(self) -> None:
        """End the node, and the services of its life cycle, which rclpy leaves to the network."""
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    @abstractmethod
    def _configure(self) -> None:
        """Build everything; what must be closed after a failure goes to ``_open``."""

    def _is_saved(self) -> bool:
        """Save the map if it is not saved yet; return whether all of it is saved."""
        return True

    @property
    def config(self) -> Config:
        """The parameters as they are now."""
        return self._settings.config

    @property
    def busy(self) -> bool:
        """Whether somebody waits for the answer of a service (executor thread)."""
        return self._configured and self._triggers.busy

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
        """End the threads of a node that is configured."""
        if self._configured:
            self.worker.stop()
            self._open.close()

    def _check_change(self, config: Config) -> None:
        if self._configured:
            self._check(config)

    def _changed(self, config: Config) -> None:
        if self._configured:
            self._reconfigure(config)

    def _check(self, config: Config) -> None:
        """Raise `ConfigError` for live parameters that cannot be taken."""

    def _reconfigure(self, config: Config) -> None:
        """Take live parameters that changed."""

    def _facts(self) -> Mapping[str, object]:
        """Return the values that diagnostics show besides problems and latencies."""
        return {}

    def _stated(self) -> Mapping[str, object]:
        """Return the values of ``~/status``: "state" in one word, then facts."""
        return {"state": "running", **self._facts()}

    def _faults(self) -> Sequence[str]:
        """Return a sentence for each part that is missing; diagnostics show them as errors."""
        return ()

    @property
    def state(self) -> str:
        """State of the life cycle, as the rest of ROS names it."""
        if not self._configured:
            return "finalized" if self.finalized else "unconfigured"
        return "active" if self.active else "inactive"

    def _all_stated(self) -> Mapping[str, object]:
        if not self._configured:
            return {"state": self.state}
        return {**self._stated(), **({} if self.active else {"state": self.state})}

    def _all_facts(self) -> dict[str, object]:
        facts: dict[str, object] = {"state": self.state, "memory_mb": memory_mb()}
        if self._configured:
            facts |= {**self._facts(), "dropped": self.worker.dropped}
        return facts
