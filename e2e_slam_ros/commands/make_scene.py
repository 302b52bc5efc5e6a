"""``e2e-slam make-scene``: render a procedural indoor sequence into a TUM RGB-D folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from e2e_slam_ros.commands.rendering import one_cpu_thread, rendered
from e2e_slam_ros.commands.terminal import say
from e2e_slam_ros.config.errors import DataError

NAME = "make-scene"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME, help="render a built-in indoor scene with exact depth and poses, in TUM layout"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--seed", type=int, default=3, help="which scene (default: %(default)s)")
    parser.add_argument("--frames", type=int, default=60, help="how many (default: %(default)s)")
    parser.add_argument("--width", type=int, default=640, help="pixels (default: %(default)s)")
    parser.add_argument("--height", type=int, default=480, help="pixels (default: %(default)s)")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Render and write the sequence. Return the exit code."""
    for name in ("frames", "width", "height"):
        if getattr(arguments, name) < 1:
            raise DataError.from_parts(
                f"--{name}", getattr(arguments, name), "at least 1", "raise it"
            )
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.data.tum_writer import TumWriter
    from e2e_slam_ros.simulation import ProceduralReader

    device = str(resolve_device(arguments.device))
    folder = arguments.out.expanduser().absolute()
    with one_cpu_thread(device):
        reader = ProceduralReader(
            seed=arguments.seed,
            frames=arguments.frames,
            width=arguments.width,
            height=arguments.height,
            device=device,
        )
        # The writer checks the folder first, so that nothing is rendered for an unusable folder.
        with TumWriter(folder, reader.camera) as writer:
            for frame in rendered(reader):
                writer.write(frame)
    say(f"{len(reader)} frames written")
    print(folder)
    return 0
