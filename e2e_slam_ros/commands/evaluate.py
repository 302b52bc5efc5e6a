"""``e2e-slam evaluate``: measure against recorded truth, by protocol."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from e2e_slam_ros.commands import evaluate_depth
from e2e_slam_ros.errors import ConfigError

NAME = "evaluate"

# Protocol -> what runs it. Each has a module of its own.
PROTOCOLS: dict[str, Callable[[argparse.Namespace], int]] = {
    evaluate_depth.PROTOCOL: evaluate_depth.run,
}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="measure depth against a recording with measured depth",
        description="depth: every frame's depth against the sensor's, raw and median-scaled, "
        "beside baselines that do not look at the image.",
    )
    # Not argparse's choices: a wrong name is refused as everything else is.
    parser.add_argument(
        "--protocol", required=True, metavar="NAME", help=f"one of: {', '.join(PROTOCOLS)}"
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder (TUM RGB-D, ICL-NUIM) or bag with measured depth",
    )
    parser.add_argument("--frames", metavar="A:B", help="only frames A to B-1, as in Python")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="change a parameter; may be repeated (list: e2e-slam parameters)",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="ROS parameter file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write pictures to this folder")
    parser.add_argument(
        "--baselines",
        type=Path,
        metavar="DIR",
        help="a sequence whose median depth per pixel is a baseline",
    )
    parser.add_argument(
        "--baseline-frames", metavar="A:B", help="only these frames of --baselines"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Measure, print, write; return the exit code.

    Raises:
        E2ESlamError: an argument, the input or an output cannot be used; nothing is written then.
    """
    if arguments.protocol not in PROTOCOLS:
        raise ConfigError.from_parts(
            "--protocol",
            repr(arguments.protocol),
            "one of: " + ", ".join(PROTOCOLS),
            "choose one of these",
        )
    return PROTOCOLS[arguments.protocol](arguments)
