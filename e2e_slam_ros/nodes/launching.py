"""The start of nodes, as the launch files share it.

Parameters come in three layers: the launch file's presets, the user's ``params_file``, and the
arguments that somebody gave. A later layer wins. An empty argument was not given.

launch_ros writes the last layer under the node's full name. Under ``/**`` it would lose to a
section with that name in the user's file, whatever their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, RegisterEventHandler, Shutdown
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from e2e_slam_ros.config.errors import ConfigError, E2ESlamError
from e2e_slam_ros.config.leaf import flatten
from e2e_slam_ros.config.plain_yaml import load_plain_yaml
from e2e_slam_ros.nodes.node_watch import NodeWatch

PACKAGE = "e2e_slam_ros"
# `ros2 launch` refuses an empty value, so a topic that does not exist has a name.
NO_TOPIC = "none"
# Name, default (None: it must be given) and meaning.
Argument = tuple[str, str | None, str]
# Argument -> the parameter that it sets, and its type.
Passed = Mapping[str, tuple[str, type]]
# Frames and TF, as every file has them: argument -> parameter, and their meaning.
FRAMES: Passed = {
    "map_frame": ("frames.map", str),
    "odom_frame": ("frames.odom", str),
    "base_frame": ("frames.base", str),
    "camera_frame": ("frames.camera", str),
    "publish_tf": ("publish.tf", bool),
}
OUTPUTS: Passed = {
    "output": ("runtime.output", str),
    "resume": ("runtime.start_map", str),
    "viewer": ("runtime.viewer", str),
}
STARTS: Passed = {"autostart": ("runtime.autostart", bool)}
FRAME_ARGUMENTS: tuple[Argument, ...] = (
    ("map_frame", "", "fixed frame of the map; if not given: as in params_file, else map"),
    ("odom_frame", "", "frame of the odometry; if not given: odom"),
    ("base_frame", "", "the robot's base; if not given: base_link"),
    ("camera_frame", "", "optical frame of the camera; if not given: as in the images' headers"),
    ("publish_tf", "", "false: nothing goes to TF"),
)
OUTPUT_ARGUMENTS: tuple[Argument, ...] = (
    ("output", "", "folder for maps; if not given: ~/.ros/e2e_slam/<date>-<time>"),
    ("resume", "", "map to go on with: a .safetensors file, or a folder with one"),
    ("viewer", "", "web: live map in a browser at 127.0.0.1:8080; rerun: view or recording"),
    ("rviz", "false", "true: start rviz2 with rviz/slam.rviz"),
)
NODE_ARGUMENTS: tuple[Argument, ...] = (
    ("autostart", "", "false: a life cycle manager configures and activates the nodes"),
    ("watch_s", "60", "a node that does not answer for so many seconds is killed; 0: never"),
    ("respawn", "false", "true: a node that fails is started again instead of ending all"),
    ("log_level", "info", "log level of the nodes"),
)
TF_ARGUMENT: Argument = (
    "tf",
    "namespace",
    "namespace: TF is <namespace>/tf, as nav2 has it; global: all robots share /tf",
)
_RESPAWN_S = 2.0
# A large map takes a while to save. launch would kill the node after ten seconds.
_SAVING_S = "120"


def described(
    arguments: Sequence[Argument], start: Callable[[LaunchContext], list[Any]]
) -> LaunchDescription:
    """Return a description that declares the arguments, then starts what ``start`` returns.

    An error of ``start`` ends the launch before anything runs.
    """
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=meaning)
        for name, default, meaning in arguments
    ]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def text(context: LaunchContext, name: str) -> str:
    """Return an argument's text. It is empty if nobody gave it."""
    return str(context.launch_configurations.get(name, ""))


def is_on(context: LaunchContext, name: str) -> bool:
    """Return whether an argument is true.

    Raises:
        ConfigError: neither true, false nor empty.
    """
    said = text(context, name).lower()
    if said not in ("true", "false", ""):
        raise ConfigError.from_parts(f"argument {name}", repr(said), "true or false", "correct it")
    return said == "true"


def seconds(context: LaunchContext, name: str) -> float:
    """Return an argument that is a time.

    Raises:
        ConfigError: no number, or less than 0.
    """
    try:
        value = float(text(context, name) or 0)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise ConfigError.from_parts(
            f"argument {name}", repr(text(context, name)), "seconds, 0 or more", "correct it"
        )
    return value


def given(context: LaunchContext, passed: Passed) -> dict[str, ParameterValue]:
    """Return the parameters of the arguments that somebody gave."""
    return {
        parameter: ParameterValue(LaunchConfiguration(name), value_type=kind)
        for name, (parameter, kind) in passed.items()
        if text(context, name)
    }


def sim_time(context: LaunchContext, preset: bool = False) -> dict[str, object]:
    """Return ``use_sim_time`` of the argument, else of ``params_file``, else the preset."""
    named = parameters_in_file(context).get("use_sim_time", preset)
    argued = is_on(context, "use_sim_time") if text(context, "use_sim_time") else named
    return {"use_sim_time": argued}


def remapped(
    context: LaunchContext, topics: Mapping[str, tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return (our topic, theirs) for argument -> (their default, our topic)."""
    named = [(ours, text(context, argument)) for argument, (_, ours) in topics.items()]
    return [(ours, theirs) for ours, theirs in named if theirs not in ("", NO_TOPIC)]


def config_file(name: str) -> Path:
    """Return a file of the installed folder ``config``."""
    return Path(get_package_share_directory(PACKAGE)) / "config" / name


def parameters_in_file(context: LaunchContext) -> dict[str, object]:
    """Return the values that ``params_file`` sets for any node, by dotted name.

    Raises:
        ConfigError: the file is not there, or is no parameter file.
    """
    path = _params_file(context)
    if path is None:
        return {}
    try:
        tree = load_plain_yaml(path.read_text()) or {}
        sections = [section["ros__parameters"] or {} for section in tree.values()]
    except (OSError, ValueError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ConfigError.from_parts(
            f"params_file {path}",
            f"{type(error).__name__}: {error}".replace("\n", " "),
            "node names, ros__parameters below each, parameters below that",
            "see config/slam.yaml",
        ) from error
    return {name: item for section in sections for name, item in flatten(section)}


def parameter_files(context: LaunchContext, preset: str = "") -> list[ParameterFile]:
    """Return the parameter files in order: one of the folder ``config``, then ``params_file``.

    Raises:
        ConfigError: there is no file ``params_file``.
    """
    files = [config_file(preset)] if preset else []
    own = _params_file(context)
    return [ParameterFile(str(path)) for path in (*files, own) if path is not None]


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
    managed = executable.removesuffix("_node") != executable
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
        return Shutdown(reason=f"{name} has ended") if ends else None
    if event.returncode < 0 and context.is_shutdown:  # ended by launch's own signal
        return None
    raise E2ESlamError.from_parts(
        name, f"exit code {event.returncode}", "0", "look at its last line above"
    )


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


def _params_file(context: LaunchContext) -> Path | None:
    path = text(context, "params_file")
    if not path:
        return None
    if not Path(path).is_file():
        raise ConfigError.from_parts(
            "argument params_file", repr(path), "a parameter file", "correct the path"
        )
    return Path(path)
