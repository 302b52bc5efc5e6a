"""The command line of an executable: help, and words that nobody understands."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence

from rclpy.utilities import remove_ros_args

from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.config.leaf import ParameterInfo

_HELP = ("-h", "--help")


def asked_for_help(args: Sequence[str] | None) -> bool:
    """Return whether the user wants help.

    Args:
        args: as of `rclpy.init`; None: those of the process.

    Raises:
        ConfigError: a word that is neither that nor a ROS argument: rclpy would ignore it.
    """
    try:
        own = remove_ros_args(sys.argv if args is None else ["", *args])[1:]
    except Exception:  # The start of ROS will say what is wrong with them.
        return False
    if any(word in _HELP for word in own):
        return True
    if own:
        raise ConfigError.from_parts(
            "argument",
            repr(own[0]),
            "ROS arguments only",
            f"give parameters as --ros-args -p NAME:=VALUE; see --help ({len(own)} not understood)"
            if ":=" not in own[0]
            else f"say --ros-args -p {own[0]}; see --help",
        )
    return False


def help_text(name: str, kind: object, infos: Sequence[ParameterInfo]) -> str:
    """Return the text that ``--help`` prints for an executable.

    Args:
        name: name of the executable.
        kind: class of the node. Its docstring describes the node.
        infos: parameters of the node.

    Example:
        >>> class Blinker:
        ...     "Blinks."
        >>> print(help_text("blinker", Blinker, [ParameterInfo("rate", 2.0, "blinks a second")]))
        usage: blinker [--ros-args [-p NAME:=VALUE] [--params-file FILE] [-r OLD:=NEW] ...]
        <BLANKLINE>
        Blinks.
        <BLANKLINE>
        parameters, with their defaults:
          rate:=2.0
              blinks a second
    """
    about = inspect.getdoc(kind) or ""
    lines = [
        f"usage: {name} [--ros-args [-p NAME:=VALUE] [--params-file FILE] [-r OLD:=NEW] ...]",
        "",
        about.partition("\n\nArgs:")[0].partition("\n\nRaises:")[0],
        "",
        "parameters, with their defaults:",
    ]
    for info in infos:
        default = str(info.default).lower() if isinstance(info.default, bool) else info.default
        lines += [f"  {info.name}:={default}", f"      {info.doc}"]
    return "\n".join(lines)
