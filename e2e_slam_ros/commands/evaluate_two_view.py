"""``e2e-slam evaluate --protocol two-view``."""

from __future__ import annotations

import argparse

from rich.console import Console
from tqdm import tqdm

from e2e_slam_ros.commands.inputs import input_of
from e2e_slam_ros.commands.outputs import output_file, output_folder, write_report
from e2e_slam_ros.commands.sequence import look_at, open_sequence
from e2e_slam_ros.commands.settings import named_in, read_settings
from e2e_slam_ros.commands.terminal import progress_wanted, say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError

PROTOCOL = "two-view"

_GAP, _SOURCE = 10, "dro"


def run(arguments: argparse.Namespace) -> int:
    """Compare depth and motion of pairs with the recorded ones; print the table, write the files.

    Raises:
        E2ESlamError: see `commands.evaluate.run`.
    """
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.two_view import predictors
    from e2e_slam_ros.evaluation.two_view.protocol import (
        TwoViewProtocol,
        listed_pairs,
        pairs_of,
    )
    from e2e_slam_ros.evaluation.two_view.report import TwoViewReport
    from e2e_slam_ros.evaluation.working_frames import WorkingFrames

    config = _settings(arguments)
    figures, folder = output_file(arguments.json), output_folder(arguments.out)
    reader = open_sequence(arguments.data, arguments.frames, input_of(arguments))
    if arguments.pairs is not None:
        pairs = listed_pairs(arguments.pairs.expanduser(), len(reader))
    else:
        gap = _GAP if arguments.gap is None else arguments.gap
        pairs = pairs_of(len(reader), gap, gap if arguments.every is None else arguments.every)
    offer = look_at(reader)
    offer.require_pose("add them; the motion between the images is compared with them")
    offer.require_depth_to_compare()
    device = resolve_device(config.runtime.device)
    protocol = TwoViewProtocol(predictors.build_two_view(config, device), config)
    frames = WorkingFrames(reader, config.camera, device)
    protocol.run(frames, tqdm(pairs, unit="pair", disable=not progress_wanted()))
    report = TwoViewReport(
        data=reader.name,
        asked=len(pairs),
        skipped=frames.left_out.counts,
        source=config.depth.source,
        errors=protocol.errors,
        machine=machine_line(str(device)),
    )
    for note in reader.report.notes:
        say(note)
    report.table().print(Console())
    write_report(report, figures, folder, {})
    return 0


def _settings(arguments: argparse.Namespace) -> Config:
    """Return the parameters; DRO is the source unless another is asked for."""
    config = read_settings(arguments.config, arguments.assignments)
    for option, other in (("gap", "pairs"), ("every", "pairs")):
        if getattr(arguments, option) is not None and getattr(arguments, other) is not None:
            raise ConfigError.from_parts(
                f"--{option}", "--pairs too", "one of them", f"leave --{option} out"
            )
    if arguments.source is not None:
        return config.with_values({"depth.source": arguments.source})
    usual = config.depth.source == Config().depth.source
    if usual and "depth.source" not in named_in(arguments.assignments):
        return config.with_values({"depth.source": _SOURCE})
    return config
