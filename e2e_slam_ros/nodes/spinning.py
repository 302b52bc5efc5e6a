"""The process of a node: start, spin, clean end."""

from __future__ import annotations

import gc
import inspect
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import rclpy
from rclpy.context import Context
from rclpy.executors import (
    Executor,
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
)
from rclpy.node import Node

from e2e_slam_ros.config import parameters
from e2e_slam_ros.config.allocator import keep_freed_memory
from e2e_slam_ros.config.errors import E2ESlamError
from e2e_slam_ros.config.input import in_ros
from e2e_slam_ros.config.leaf import ParameterInfo
from e2e_slam_ros.nodes.command_line import asked_for_help, help_text
from e2e_slam_ros.nodes.configured_node import ConfiguredNode
from e2e_slam_ros.nodes.counting_executor import CountingExecutor
from e2e_slam_ros.nodes.ros_start import start_ros
from e2e_slam_ros.nodes.transport import make_room_for_images

_TICK_S = 0.2
_LOG_EVERY_S = 5.0
# A thread that waits for Python's lock gets it after so long; 5 ms is Python's own value. An image
# needs the lock again after each call of OpenCV, while mapping and adjustment hold it.
_LOCK_S = 0.001


class Told(Protocol):
    """Whether something was told to end."""

    def is_set(self) -> bool:
        """Return whether it was."""
        ...


class Player(Protocol):
    """A node that plays a recording."""

    context: Context

    def play(self) -> object:
        """Play to the end, or until `stop`."""

    def stop(self) -> None:
        """Make `play` return soon. Any thread or signal handler may call it."""

    def destroy_node(self) -> None:
        """End the node."""


def run_node(make: Callable[[], ConfiguredNode], args: Sequence[str] | None) -> int:
    """Spin the node of a class until SIGINT or SIGTERM. Return the exit code.

    Services at work answer first, and the node closes. An error at the start, and a map
    that could not be saved at the end, give one last line and exit code 1.
    """
    answered = _answered(make, args, parameters())
    if answered is not None:
        return answered
    stop = threading.Event()
    sys.setswitchinterval(_LOCK_S)
    keep_freed_memory()
    make_room_for_images()
    try:
        start_ros(args)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        node = make()
    except E2ESlamError as error:
        rclpy.try_shutdown()
        return refuse(error)
    # Freeze the objects of the start-up. A full garbage collection would otherwise visit them
    # every few seconds and stop every thread for 70 ms.
    gc.collect()
    gc.freeze()
    executor = CountingExecutor(node.undecodable)
    executor.add_node(node)
    # A second signal sets `stop` again: it does not interrupt the clean end.
    try:
        spin_until(_Ended(stop, node), executor, node, lambda: node.busy)
    finally:
        node.close()
        executor.shutdown(timeout_sec=1.0)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0 if node.failure is None else refuse(node.failure)


class _Ended:
    """A node ends by a signal, or by the transition `shutdown`."""

    def __init__(self, signalled: threading.Event, node: ConfiguredNode) -> None:
        self._signalled, self._node = signalled, node

    def is_set(self) -> bool:
        """Return whether it is to end."""
        return self._signalled.is_set() or self._node.finalized


def run_player(
    make: Callable[[], Player], infos: Sequence[ParameterInfo], args: Sequence[str] | None
) -> int:
    """Play to the end, or until SIGINT or SIGTERM. Return the exit code.

    A player that cannot start, or cannot go on, gives one line and exit code 1.
    """
    answered = _answered(make, args, infos)
    if answered is not None:
        return answered
    stopped = threading.Event()
    make_room_for_images()
    try:
        start_ros(args)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        player = make()
    except E2ESlamError as error:
        rclpy.try_shutdown()
        return refuse(type(error)(in_ros(str(error))))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: player.stop())
    code = 0
    with SpinThread(player):
        try:
            # The signal may have come while the recording was opened.
            if not stopped.is_set():
                player.play()
        except E2ESlamError as error:
            code = refuse(error)
    player.destroy_node()
    rclpy.try_shutdown()
    return code


def spin_until(
    stop: Told,
    executor: Executor,
    node: Node,
    busy: Callable[[], bool] = lambda: False,
) -> None:
    """Run callbacks until ``stop`` is set and the node is not ``busy``.

    An exception in a callback is logged, and the node goes on.
    """
    while not (stop.is_set() and not busy()) and node.context.ok():
        try:
            executor.spin_once(timeout_sec=_TICK_S)
        except (ExternalShutdownException, ShutdownException):
            return
        except Exception:
            if not node.context.ok():
                return
            node.get_logger().error(
                f"a callback failed: {traceback.format_exc()}", throttle_duration_sec=_LOG_EVERY_S
            )


class SpinThread:
    """A context manager that spins one node in a thread of its own."""

    def __init__(self, node: Node) -> None:
        self._stop = threading.Event()
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._thread = threading.Thread(
            target=spin_until,
            args=(self._stop, self._executor, node),
            name=f"spin-{node.get_name()}",
            daemon=True,
        )

    def __enter__(self) -> SpinThread:
        """Start spinning."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop spinning. After the return, no callback runs."""
        self._stop.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown(timeout_sec=1.0)


def _answered(
    make: Callable[[], object], args: Sequence[str] | None, infos: Sequence[ParameterInfo]
) -> int | None:
    """Answer ``--help`` and what nobody understands; return the exit code, or None: go on."""
    try:
        if not asked_for_help(args):
            return None
    except E2ESlamError as error:
        return refuse(error)
    executable = Path(inspect.getfile(sys.modules[make.__module__])).stem
    print(help_text(executable, make, infos))
    return 0


def refuse(error: E2ESlamError | str) -> int:
    """Print in one line why a process failed. Return its exit code."""
    print(f"e2e_slam_ros: {error}", file=sys.stderr, flush=True)
    return 1
