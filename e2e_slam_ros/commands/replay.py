"""``e2e-slam replay``: play a sequence through the whole system and write the results."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from e2e_slam_ros.commands.inputs import add_input, input_of
from e2e_slam_ros.commands.outputs import run_folder
from e2e_slam_ros.commands.sequence import look_at, open_sequence
from e2e_slam_ros.commands.settings import add_settings, fitted, named_in, read_settings
from e2e_slam_ros.commands.terminal import FAILED, INTERRUPTED, progress_wanted, say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import E2ESlamError

if TYPE_CHECKING:
    from e2e_slam_ros.data.frame import FrameReader
    from e2e_slam_ros.evaluation.run.comparison import ComparedRun

NAME = "replay"
# Whoever names one of these wants that run, and not a comparison.
POSE_OR_DEPTH = {"pose.source", "depth.source"}
# The demonstration's second run: its folder, and the most images of it.
_PLAIN, _MOST_IMAGES = "images_alone", 240


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="play a sequence over ROS 2, map it, and write the map and a report",
        description="Plays a recorded sequence and runs the mapping node in one process, over "
        "real ROS 2 transport. Ends by itself.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "path",
        nargs="?",
        type=Path,
        metavar="PATH",
        help="folder, recording or video of any layout that is read; see docs/inputs.md",
    )
    source.add_argument("--data", type=Path, metavar="PATH", help="the same as PATH")
    source.add_argument("--bag", type=Path, metavar="FILE", help="rosbag2 folder or file")
    source.add_argument(
        "--demo",
        action="store_true",
        help="a downloaded sequence, else a built-in scene; once with its depth and poses, and "
        "once its images alone",
    )
    parser.add_argument(
        "--lockstep",
        action="store_true",
        help="each frame waits until the last is done: nothing is dropped, runs are repeatable",
    )
    parser.add_argument("--frames", metavar="A:B", help="only frames A to B-1, as in Python")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="times real time (default: %(default)s)"
    )
    parser.add_argument(
        "--map",
        type=Path,
        metavar="FILE",
        help="go on in a saved map (.safetensors); with --set tracking.localize_only=true, only "
        "find the camera in it",
    )
    add_input(parser)
    add_settings(parser, "parameter", "e2e-slam parameters", "ROS parameter file")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write (default: out/<time>)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Replay, write and print. Return the exit code (130 when Ctrl-C ended the replay early).

    Raises:
        E2ESlamError: an argument, the input or the output folder cannot be used. Everything that
            can be checked before the run is checked then.
    """
    if not (arguments.rate > 0.0 and math.isfinite(arguments.rate)):
        raise E2ESlamError.from_parts(
            "--rate", arguments.rate, "a number above 0", "use 1 for real time"
        )
    config = read_settings(arguments.config, arguments.assignments)
    if arguments.map is not None:
        start_map = arguments.map.expanduser().absolute()
        config = config.with_values({"runtime.start_map": str(start_map)})
    run_replay = _import_replay()
    with run_folder(arguments.out, config.map.max_surfels) as folder:
        reader = open_sequence(
            arguments.path or arguments.data or arguments.bag,
            arguments.frames,
            input_of(arguments),
        )
        config = fitted(
            config,
            arguments.assignments,
            look_at(reader, bool(arguments.pose_frame)),
            arguments.lockstep,
        )
        replay = partial(_replay, run_replay, arguments=arguments, command=_command(argv))
        code, first = replay(reader, config, folder, arguments.lockstep)
        named = POSE_OR_DEPTH & named_in(arguments.assignments)
        if code != 0 or not arguments.demo or named or arguments.map is not None:
            return code
        return _images_alone(replay, reader, config, folder, first, _command(argv))


def _images_alone(
    replay: Callable[..., tuple[int, ComparedRun]],
    reader: FrameReader,
    config: Config,
    folder: Path,
    first: ComparedRun,
    command: str,
) -> int:
    """Replay the images of the demonstration alone, and compare. Return the exit code."""
    from e2e_slam_ros.data.atomic import write_text_atomic
    from e2e_slam_ros.data.slice import FrameSlice
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.run.artifacts import COMPARISON_FILE
    from e2e_slam_ros.evaluation.run.comparison import comparison_html

    say("the same images once more, as those of a plain camera: no depth, no poses")
    if len(reader) > _MOST_IMAGES:
        reader = FrameSlice(reader, 0, _MOST_IMAGES)
    plain = {"pose.source": "visual", "depth.source": "network", "runtime.offline": True}
    code, second = replay(reader, config.with_values(plain), folder / _PLAIN, True)
    if second.summary.is_empty:
        return code
    page = folder / COMPARISON_FILE
    runs = [first, replace(second, report=f"{_PLAIN}/{second.report}")]
    write_text_atomic(page, comparison_html(runs, machine_line(first.summary.device), command))
    print(page)
    return code


def _replay(
    run_replay: Callable[..., Any],
    reader: FrameReader,
    config: Config,
    folder: Path,
    lockstep: bool,
    arguments: argparse.Namespace,
    command: str,
) -> tuple[int, ComparedRun]:
    """Replay, write and print. Return the exit code and the run."""
    from e2e_slam_ros.evaluation.run.artifacts import CHECKPOINT_FILE, REPORT_FILE, write_run
    from e2e_slam_ros.evaluation.run.comparison import ComparedRun
    from e2e_slam_ros.evaluation.run.map_frame import read_map_frame
    from e2e_slam_ros.evaluation.run.recorder import RunRecorder
    from e2e_slam_ros.evaluation.run.tables import print_summary
    from e2e_slam_ros.evaluation.score_table import counted

    # The player prints the left-out entries. The figures repeat them.
    source = config.depth.source
    say(f"{reader.name}: {len(reader)} frames, depth from {source}, into {folder}")

    start_map = config.runtime.start_map
    map_frame = read_map_frame(Path(start_map)) if start_map else None
    recorder = RunRecorder(reader, config, map_frame)
    outcome = run_replay(
        recorder.observed,
        config,
        lockstep=lockstep,
        rate=arguments.rate,
        recorder=recorder,
        progress=progress_wanted(),
        checkpoint=folder / CHECKPOINT_FILE,
    )
    summary = recorder.finish(
        outcome.cloud,
        outcome.dropped,
        outcome.problems,
        outcome.wall_s,
        outcome.map_hash,
        outcome.landmarks,
    )
    files = write_run(folder, summary, outcome.cloud, config, command, outcome.checkpoint)
    print_summary(summary, files.written, files.failures, Console())
    content = "there is no map" if summary.is_empty else "the files hold what had been mapped"
    if outcome.failure is not None:
        say(f"ended early: {outcome.failure}; {content}")
    elif outcome.interrupted:
        say(f"interrupted: {content}")
    elif summary.is_empty:
        reasons = ", ".join(counted(summary.problems)) or "no frame became a keyframe with depth"
        done = "localised" if summary.localizes_only else "mapped"
        say(f"nothing was {done}: {reasons}")
    code = 0
    if files.failures or outcome.failure is not None:
        code = FAILED
    elif outcome.interrupted:
        code = INTERRUPTED
    elif summary.is_empty:
        code = FAILED
    title = f"poses: {summary.pose_source}, depth: {source}"
    return code, ComparedRun(title, summary, outcome.cloud, REPORT_FILE)


def _command(argv: Sequence[str]) -> str:
    return shlex.join(["e2e-slam", *argv])


def _import_replay() -> Callable[..., Any]:
    """Import the only part of the command that needs ROS.

    Raises:
        E2ESlamError: ROS 2's Python packages are missing from this interpreter.
    """
    try:
        from e2e_slam_ros.nodes.replay import run_replay
    except ImportError as problem:
        raise E2ESlamError.from_parts(
            "ROS 2 for Python",
            problem,
            f"rclpy and the standard messages to be importable by {sys.executable}",
            "source /opt/ros/<distro>/setup.bash, or use the interpreter `make venv` builds",
        ) from problem
    return run_replay
