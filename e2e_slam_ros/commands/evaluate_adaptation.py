"""``e2e-slam evaluate --protocol pair`` (the paper's table 1) and ``--protocol online``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from tqdm import tqdm

from e2e_slam_ros.commands.inputs import input_of
from e2e_slam_ros.commands.outputs import output_file, output_folder, write_files, write_report
from e2e_slam_ros.commands.sequence import look_at, open_sequence
from e2e_slam_ros.commands.settings import named_in, read_settings
from e2e_slam_ros.commands.terminal import progress_wanted, say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DataError

if TYPE_CHECKING:
    from e2e_slam_ros.data.frame import FrameReader
    from e2e_slam_ros.evaluation.adaptation.adaptation_setup import Sample
    from e2e_slam_ros.evaluation.adaptation.report import AdaptationReport

GRID_PICTURE, CURVES_PICTURE, TABLE_FILE = "before_after.png", "keyframes.png", "table.md"
STARTS = ("source", "poor")
# Parameters of each protocol, unless the user says otherwise (paper, section 4.2). A keyframe that
# is refined again when later ones are there begins anew too.
PROTOCOLS: dict[str, dict[str, object]] = {
    "pair": {
        "refine.steps": 25,
        "refine.network.reset_per_keyframe": True,
        "refine.wait_keyframes": 0,
    },
    "online": {"refine.steps": 5, "refine.wait_keyframes": 0},
}


@dataclass(frozen=True, eq=False)
class Job:
    """A checked request: everything that can be refused before the work has been.

    ``figures``, ``table`` and ``folder`` are where results go; None: nowhere.
    """

    config: Config
    reader: FrameReader
    poor: bool
    figures: Path | None
    table: Path | None
    folder: Path | None


def run(arguments: argparse.Namespace) -> int:
    """Refine keyframes; print the table, write figures and pictures."""
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationSetup
    from e2e_slam_ros.evaluation.adaptation.online_protocol import OnlineProtocol
    from e2e_slam_ros.evaluation.adaptation.pair_protocol import PairProtocol
    from e2e_slam_ros.evaluation.adaptation.report import AdaptationReport
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.weights import weights_of

    job = _prepare(arguments)
    device, reader = resolve_device(job.config.runtime.device), job.reader
    setup = AdaptationSetup(job.config, device, job.poor)
    protocol: PairProtocol | OnlineProtocol
    unit = "keyframe" if arguments.protocol == "pair" else "frame"
    if arguments.protocol == "pair":
        protocol, positions = (
            PairProtocol(setup, reader),
            range(0, len(reader), arguments.every or 1),
        )
    else:
        protocol, positions = OnlineProtocol(setup, reader, arguments.every), range(len(reader))
    outcome = protocol.run(tqdm(positions, unit=unit, disable=not progress_wanted()))
    report = AdaptationReport(
        protocol=arguments.protocol,
        data=reader.name,
        frames=len(positions),
        left_out=setup.left_out.counts,
        source=setup.pipeline.source.traits.name,
        config=job.config,
        scores=tuple(outcome.scores),
        forgetting=outcome.forgetting,
        machine=machine_line(str(device)),
        weights=None if job.poor else weights_of(job.config),
    )
    _finish(job, report, outcome.samples)
    return 0


def _prepare(arguments: argparse.Namespace) -> Job:
    """Check the arguments and the input; nothing is written."""
    poor = _is_poor(arguments)
    config = _settings(arguments, poor)
    if arguments.every is not None and arguments.every < 1:
        raise ConfigError.from_parts(
            "--every", arguments.every, "1 or more", "every frame: 1, every tenth: 10"
        )
    folder = output_folder(arguments.out)
    table = output_file(arguments.markdown)
    if table is None and folder is not None:
        table = folder / TABLE_FILE
    figures = output_file(arguments.json)
    reader = open_sequence(arguments.data, arguments.frames, input_of(arguments))
    _check_sequence(reader)
    return Job(config, reader, poor, figures, table, folder)


def _finish(job: Job, report: AdaptationReport, samples: list[Sample]) -> None:
    """Print the report and write what was asked for, each file whole or not at all."""
    from e2e_slam_ros.evaluation.adaptation.figures import before_after_grid, error_curves

    for note in job.reader.report.notes:
        say(note)
    report.table().print(Console())
    pictures = {}
    if job.folder is not None:
        depth = job.config.depth
        grid = before_after_grid(samples, depth.min_m, depth.max_m)
        pictures["Before and after"] = (GRID_PICTURE, grid)
        pictures["Errors"] = (CURVES_PICTURE, error_curves(report.scores))
    if job.table is not None:
        write_files({job.table: report.table(digits=4).markdown()})
    write_report(report, job.figures, job.folder, pictures)


def _is_poor(arguments: argparse.Namespace) -> bool:
    start = arguments.start or STARTS[0]
    if start not in STARTS:
        raise ConfigError.from_parts(
            "--start", repr(start), "one of: " + ", ".join(STARTS), "choose one of these"
        )
    return bool(start == "poor")


def _settings(arguments: argparse.Namespace, poor: bool) -> Config:
    """Return the parameters; what the user left open is what the protocol is about."""
    from e2e_slam_ros.slam.depth_sources import depth_traits

    config = read_settings(arguments.config, arguments.assignments)
    named = named_in(arguments.assignments)
    given, usual = config.values(), Config().values()
    open_values = {
        name: value
        for name, value in PROTOCOLS[arguments.protocol].items()
        if given[name] == usual[name] and name not in named
    }
    traits = depth_traits(config)
    if traits.needs_sensor and "depth.source" not in named:
        open_values["depth.source"] = "motion_stereo" if poor else "network"
    if not config.refine.refines_keyframes and "refine.strategy" not in named:
        adapts = not poor and (traits.needs_sensor or traits.has_network)
        open_values["refine.strategy"] = "network" if adapts else "output"
    config = config.with_values(open_values)
    _check_settings(config, poor)
    return config


def _check_settings(config: Config, poor: bool) -> None:
    from e2e_slam_ros.evaluation.depth.predictor import refuse_sensor

    strategy = config.refine.strategy
    if not config.refine.refines_keyframes:
        raise ConfigError.from_parts(
            "refine.strategy",
            repr(strategy),
            "output or network: what is measured",
            "choose one (refine.steps=0 shows the start alone)",
        )
    if poor and strategy == "network":
        raise ConfigError.from_parts(
            "--start poor",
            "refine.strategy 'network'",
            "'output': a depth made from the truth has no network to adapt",
            "give --set refine.strategy=output, or weights that are poor",
        )
    refuse_sensor(config)


def _check_sequence(reader: FrameReader) -> None:
    if len(reader) < 2:
        raise DataError.from_parts(
            f"sequence {reader.name}",
            "1 frame",
            "at least 2: refinement compares views",
            "choose more --frames",
        )
    offer = look_at(reader)
    offer.require_pose("add them; refinement compares views from known places")
    offer.require_depth_to_compare()
