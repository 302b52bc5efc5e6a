"""``e2e-slam evaluate --protocol depth``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.console import Console
from tqdm import tqdm

from e2e_slam_ros.commands.inputs import input_of
from e2e_slam_ros.commands.outputs import output_file, output_folder, write_report
from e2e_slam_ros.commands.sequence import open_sequence
from e2e_slam_ros.commands.settings import named_in, read_settings
from e2e_slam_ros.commands.terminal import progress_wanted, say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from e2e_slam_ros.evaluation.depth.protocol import DepthSample
    from e2e_slam_ros.evaluation.depth.report import DepthReport

PROTOCOL = "depth"

FRAMES_PICTURE, CURVES_PICTURE = "depth.png", "sparsification.png"
_SAMPLES = 6


def run(arguments: argparse.Namespace) -> int:
    """Compare each frame's depth with the sensor's; print the table, write the files."""
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.evaluation.depth.predictor import build_predictor
    from e2e_slam_ros.evaluation.depth.protocol import DepthProtocol
    from e2e_slam_ros.evaluation.depth.report import DepthReport
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.weights import weights_of
    from e2e_slam_ros.evaluation.working_frames import WorkingFrames

    config = _settings(arguments)
    figures, folder = output_file(arguments.json), output_folder(arguments.out)
    reader = open_sequence(arguments.data, arguments.frames, input_of(arguments))
    device = resolve_device(config.runtime.device)
    protocol = DepthProtocol(
        build_predictor(config, device), config, _baselines(arguments, config)
    )
    frames = WorkingFrames(reader, config.camera, device)
    shown = tqdm(frames, total=len(frames), unit="frame", disable=not progress_wanted())
    result = protocol.run(frames, shown, _SAMPLES if folder else 0)
    report = DepthReport(
        data=reader.name,
        asked=len(reader),
        skipped=frames.left_out.counts,
        source=config.depth.source,
        scores=tuple(result.scores),
        machine=machine_line(str(device)),
        weights=weights_of(config),
    )
    for note in reader.report.notes:
        say(note)
    report.table().print(Console())
    pictures = {} if folder is None else _pictures(report, result.samples, config)
    write_report(report, figures, folder, pictures)
    return 0


def _settings(arguments: argparse.Namespace) -> Config:
    """Return the parameters; the network is the source unless another is asked for."""
    from e2e_slam_ros.slam.depth_sources import depth_traits

    config = read_settings(arguments.config, arguments.assignments)
    if depth_traits(config).needs_sensor and "depth.source" not in named_in(arguments.assignments):
        config = config.with_values({"depth.source": "network"})
    if arguments.baseline_frames is not None and arguments.baselines is None:
        raise ConfigError.from_parts(
            "--baseline-frames", "no --baselines", "the sequence they are of", "add --baselines"
        )
    return config


def _baselines(arguments: argparse.Namespace, config: Config) -> dict[str, torch.Tensor]:
    from e2e_slam_ros.evaluation.depth.baselines import (
        CONSTANT,
        TRAINING_MEDIAN,
        constant_depth,
        training_median,
    )

    baselines = {CONSTANT: constant_depth()}
    if arguments.baselines is not None:
        training = open_sequence(arguments.baselines, arguments.baseline_frames)
        say(f"median depth of {len(training):,} frames of {training.name}")
        baselines[TRAINING_MEDIAN] = training_median(training, config)
    return baselines


def _pictures(
    report: DepthReport, samples: list[DepthSample], config: Config
) -> dict[str, tuple[str, bytes]]:
    from e2e_slam_ros.evaluation.depth.figures import sample_grid, sparsification_plot

    grid, curves = sample_grid(samples, config.depth.max_m), report.curves()
    pictures = {"Frames": (FRAMES_PICTURE, grid)}
    if curves is not None:
        pictures["Sparsification"] = (CURVES_PICTURE, sparsification_plot(curves))
    return pictures
