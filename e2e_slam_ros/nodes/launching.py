"""The start of nodes, as the launch files share it.

Parameters come in three layers: the launch file's presets, the user's ``params_file``, and the
arguments that somebody gave. A later layer wins. An empty argument was not given.

launch_ros writes the last layer under the node's full name. Under ``/**`` it would lose to a
section with that name in the user's file, whatever their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import (
    get_package_share_directory,
)
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.leaf import flatten
from e2e_slam_ros.config.plain_yaml import load_plain_yaml

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
    path = params_file(context)
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
    own = params_file(context)
    return [ParameterFile(str(path)) for path in (*files, own) if path is not None]


def params_file(context: LaunchContext) -> Path | None:
    """Return the user's parameter file, or None.

    Raises:
        ConfigError: there is no such file.
    """
    path = text(context, "params_file")
    if not path:
        return None
    if not Path(path).is_file():
        raise ConfigError.from_parts(
            "argument params_file", repr(path), "a parameter file", "correct the path"
        )
    return Path(path)
