"""``e2e-slam convert``: write a recording in another layout."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from e2e_slam_ros.commands.inputs import add_input, input_of
from e2e_slam_ros.commands.sequence import open_sequence
from e2e_slam_ros.commands.terminal import progress_wanted, say
from e2e_slam_ros.data.conversion import FORMATS, ConversionReport, convert, format_of

NAME = "convert"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="write a recording as rosbag2 (mcap, sqlite3) or as a TUM RGB-D folder",
        description="Writes the frames that a run would use: images, registered depth, poses of "
        "the optical frame, calibration. Nothing is overwritten; Ctrl-C leaves nothing behind.",
    )
    parser.add_argument("source", type=Path, metavar="SRC", help="a recording of any layout")
    parser.add_argument(
        "target", type=Path, metavar="DST", help="NAME.mcap, or a folder that is to be made"
    )
    parser.add_argument(
        "--format",
        choices=("auto", *FORMATS),
        default="auto",
        help="auto: mcap for NAME.mcap, else a TUM folder (default: %(default)s)",
    )
    parser.add_argument("--frames", metavar="A:B", help="only frames A to B-1, as in Python")
    add_input(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Convert, and print the new path. Return the exit code.

    Raises:
        E2ESlamError: the input or the output cannot be used.
    """
    target = arguments.target.expanduser().absolute()
    form = format_of(target, arguments.format)
    reader = open_sequence(arguments.source, arguments.frames, input_of(arguments))
    for note in reader.report.notes:
        say(note)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not progress_wanted(),
        transient=True,
    ) as bar:
        task = bar.add_task(f"{reader.name} to {form}", total=len(reader))
        report = convert(reader, target, form, lambda done: bar.update(task, completed=done))
    getattr(reader, "close", lambda: None)()
    say(_summary(report))
    for reason, count in reader.report.skipped.items():
        say(f"left out: {reason} ({count} times)")
    print(target)
    return 0


def _summary(report: ConversionReport) -> str:
    text = f"{report.frames} frames written, {report.with_depth} with depth, "
    text += f"{report.with_pose} with a pose"
    if report.unreadable:
        text += f"; {report.unreadable} could not be read: {report.reason}"
    if report.far:
        text += f"; depth beyond 13.1 m in {report.far} frames became invalid (TUM has 16 bits)"
    return text
