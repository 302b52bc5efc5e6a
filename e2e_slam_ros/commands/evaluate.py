"""``e2e-slam evaluate``: measure against recorded truth, by protocol."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from e2e_slam_ros.commands import (
    evaluate_adaptation,
    evaluate_depth,
    evaluate_eigen,
    evaluate_trajectory,
    evaluate_two_view,
)
from e2e_slam_ros.commands.inputs import add_input
from e2e_slam_ros.commands.settings import add_settings
from e2e_slam_ros.config.errors import ConfigError

NAME = "evaluate"

# Protocol -> what runs it.
PROTOCOLS: dict[str, Callable[[argparse.Namespace], int]] = {
    evaluate_depth.PROTOCOL: evaluate_depth.run,
    evaluate_trajectory.PROTOCOL: evaluate_trajectory.run,
    evaluate_two_view.PROTOCOL: evaluate_two_view.run,
    evaluate_eigen.PROTOCOL: evaluate_eigen.run,
    **dict.fromkeys(evaluate_adaptation.PROTOCOLS, evaluate_adaptation.run),
}

_ADAPTATION = tuple(evaluate_adaptation.PROTOCOLS)
# Options that not every protocol has a use for -> those that have.
_ONLY: dict[str, tuple[str, ...]] = {
    "baselines": (evaluate_depth.PROTOCOL,),
    "baseline_frames": (evaluate_depth.PROTOCOL,),
    "every": (*_ADAPTATION, evaluate_two_view.PROTOCOL),
    "start": _ADAPTATION,
    "markdown": _ADAPTATION,
    "seeds": (evaluate_trajectory.PROTOCOL,),
    "source": (evaluate_two_view.PROTOCOL,),
    "gap": (evaluate_two_view.PROTOCOL,),
    "pairs": (evaluate_two_view.PROTOCOL,),
    "list": (evaluate_eigen.PROTOCOL,),
    "truth": (evaluate_eigen.PROTOCOL,),
}


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="measure depth or tracking against a recording",
        description="depth: every frame's depth against the sensor's, raw and median-scaled, "
        "beside baselines that do not look at the image. pair: each frame is refined with its "
        "neighbours, from the same weights each time, and compared before and after (25 steps). "
        "online: the whole sequence in order with a map, what was learned is carried on (5 steps "
        "a keyframe), and the first keyframes once more at the end. trajectory: the camera is "
        "tracked by its images alone and compared with the recorded poses. two-view: depth and "
        "motion of pairs of frames, poses unknown (DRO's table of ScanNet). eigen: depth of the "
        "images of KITTI that a list names (Eigen's split).",
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
        help="recording of any layout, with measured depth; eigen: the folder of KITTI's raw data",
    )
    parser.add_argument("--frames", metavar="A:B", help="only frames A to B-1, as in Python")
    add_input(parser)
    add_settings(parser, "parameter", "e2e-slam parameters", "ROS parameter file")
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
    parser.add_argument(
        "--every",
        type=int,
        metavar="N",
        help="pair: only every N-th frame; online: every N-th frame is a keyframe, whatever the "
        "keyframe rule says; two-view: a pair begins at every N-th frame (default: the gap)",
    )
    parser.add_argument(
        "--start",
        metavar="START",
        help="pair, online: what is refined; source (depth.source, the default) or poor (the "
        "truth, blurred and distorted; needs no weights)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="trajectory: run N times, with noise of one grey value from the second on; gives "
        "median and range",
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="pair, online: write the table to this file"
    )
    _add_of_two_views(parser)
    parser.set_defaults(run=run)


def _add_of_two_views(parser: argparse.ArgumentParser) -> None:
    """Add the options of the protocols of the papers on several images, and on KITTI."""
    parser.add_argument(
        "--source",
        metavar="NAME",
        help="two-view: dro (the default), deepv2d or motion_stereo; the same as --set "
        "depth.source=NAME",
    )
    parser.add_argument(
        "--gap", type=int, metavar="N", help="two-view: frames of a pair are N apart (default: 10)"
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        metavar="FILE",
        help="two-view: pairs of frames, two numbers a line, counted from 0",
    )
    parser.add_argument(
        "--list", type=Path, metavar="FILE", help="eigen: the list of test images, as published"
    )
    parser.add_argument(
        "--truth",
        metavar="KIND",
        help="eigen: velodyne (the default) or improved (annotated depth)",
    )


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
    for option, protocols in _ONLY.items():
        if getattr(arguments, option) is not None and arguments.protocol not in protocols:
            raise ConfigError.from_parts(
                "--" + option.replace("_", "-"),
                f"--protocol {arguments.protocol}",
                "--protocol " + " or ".join(protocols),
                "leave it out",
            )
    return PROTOCOLS[arguments.protocol](arguments)
