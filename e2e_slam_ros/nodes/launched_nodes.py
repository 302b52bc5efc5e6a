"""The nodes that a launch file starts, and the end of the launch with the end of a node."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext
from launch.actions import RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterFile

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.nodes.launching import PACKAGE, is_on, parameters_in_file, seconds, text
from e2e_slam_ros.nodes.node_watch import NodeWatch

_RESPAWN_S = 2.0
# A large map takes a while to save. launch would kill the node after ten seconds.
_SAVING_S = "120"


def our_node(
    context: LaunchContext,
    executable: str,
    passed: Mapping[str, object],
    *,
    files: Sequence[ParameterFile] = (),
    remap: Sequence[tuple[str, str]] = (),
    ends: bool = False,
    **options: Any,
) -> list[Any]:
    """Return a node of this package, and what ends the launch when the node ends.

    Args:
        passed: parameters that override those of the files.
        files: parameter files, the strongest last.
        remap: topics, ours and theirs.
        ends: the node's good end ends everything; false: only its failure does.
        options: further arguments of `Node`.
    """
    respawn = is_on(context, "respawn") and not ends
    # A player has no life cycle.
    managed = executable.endswith("_node") and not _is_secured()
    node = (LifecycleNode if managed else Node)(
        package=PACKAGE,
        executable=executable,
        name=executable,
        namespace=_namespace(context),
        parameters=[*files, dict(passed)] if passed else [*files],
        remappings=[*remap, *_tf(context)],
        respawn=respawn,
        respawn_delay=_RESPAWN_S,
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
        sigterm_timeout=_SAVING_S,
        sigkill_timeout=_SAVING_S,
        **options,
    )
    limit_s = seconds(context, "watch_s")
    watch = NodeWatch(node, limit_s).handlers() if managed and limit_s else []
    return [*watch, node] if respawn else [*watch, node, required(node, executable, ends)]


def rviz(
    context: LaunchContext, clock: Mapping[str, object], remap: Sequence[tuple[str, str]] = ()
) -> list[Any]:
    """Return RViz with our displays if ``rviz`` is true. It sees the topics as the nodes do.

    Raises:
        ConfigError: rviz2 is not installed.
    """
    if not is_on(context, "rviz"):
        return []
    try:
        get_package_prefix("rviz2")
    except PackageNotFoundError as error:
        raise ConfigError.from_parts(
            "argument rviz",
            "true, and there is no package rviz2",
            "rviz2 installed and sourced",
            "install it (ros-<distribution>-rviz2), or leave rviz:=true out",
        ) from error
    shown = Path(get_package_share_directory(PACKAGE)) / "rviz" / "slam.rviz"
    node = Node(
        package="rviz2",
        executable="rviz2",
        namespace=_namespace(context),
        arguments=["-d", str(shown), *_fixed_frame(context)],
        parameters=[dict(clock)],
        remappings=[*remap, *_tf(context)],
    )
    # Closing the window ends the window only.
    return [node]


def required(action: Any, name: str, ends: bool = True) -> RegisterEventHandler:
    """Return the handler that ends the launch when a process ends.

    A failure also makes the exit code of `ros2 launch` 1.
    """
    return RegisterEventHandler(
        OnProcessExit(target_action=action, on_exit=partial(_ended, name, ends))
    )


def _ended(name: str, ends: bool, event: ProcessExited, context: LaunchContext) -> Any:
    if event.returncode == 0:
        # A second shutdown fails where the first one is nearly done.
        return Shutdown(reason=f"{name} has ended") if ends and not context.is_shutdown else None
    if event.returncode < 0 and context.is_shutdown:  # ended by launch's own signal
        return None
    raise E2ESlamError.from_parts(
        name, f"exit code {event.returncode}", "0", "look at its last line above"
    )


def _is_secured() -> bool:
    """Return whether ROS security is on: launch has no keys to look at nodes with."""
    return os.environ.get("ROS_SECURITY_ENABLE", "").lower() == "true"


def _namespace(context: LaunchContext) -> str:
    """Return the namespace of the nodes; "/" makes the root known to launch_ros."""
    pushed = "ros_namespace" in context.launch_configurations
    return text(context, "namespace") or ("" if pushed else "/")


def _tf(context: LaunchContext) -> list[tuple[str, str]]:
    """Return the remaps that put TF into the namespace, where the launch file has a choice."""
    chosen = text(context, "tf")
    if chosen not in ("", "namespace", "global"):
        raise ConfigError.from_parts(
            "argument tf", repr(chosen), "namespace or global", "correct it"
        )
    return [(f"/{name}", name) for name in ("tf", "tf_static")] if chosen == "namespace" else []


def _fixed_frame(context: LaunchContext) -> list[str]:
    frame = text(context, "map_frame") or parameters_in_file(context).get("frames.map")
    return ["-f", str(frame)] if frame else []
