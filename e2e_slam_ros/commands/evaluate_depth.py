"""``e2e-slam evaluate --protocol depth``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from tqdm import tqdm

from e2e_slam_ros.commands.outputs import output_file, output_folder
from e2e_slam_ros.commands.sequence import open_sequence
from e2e_slam_ros.commands.settings import read_settings
from e2e_slam_ros.commands.terminal import progress_wanted, say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from e2e_slam_ros.evaluation.depth.protocol import Sample
    from e2e_slam_ros.evaluation.depth.report import DepthReport

PROTOCOL = "depth"

FRAMES_PICTURE, CURVES_PICTURE = "depth.png", "sparsification.png"
_SAMPLES = 6


def run(arguments: argparse.Namespace) -> int:
    """Compare each frame's depth with the sensor's; print the table, write figures and pictures.

    Raises:
        E2ESlamError: see `commands.evaluate.run`.
    """
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.evaluation.depth.predictor import build_predictor
    from e2e_slam_ros.evaluation.depth.protocol import DepthProtocol
    from e2e_slam_ros.evaluation.depth.report import DepthReport, print_report
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.weights import weights_of
    from e2e_slam_ros.evaluation.working_frames import WorkingFrames

    config = _settings(arguments)
    figures, pictures = output_file(arguments.json), output_folder(arguments.out)
    reader = open_sequence(arguments.data, arguments.frames)
    device = resolve_device(config.runtime.device)
    protocol = DepthProtocol(
        build_predictor(config, device), config, _baselines(arguments, config)
    )
    frames = WorkingFrames(reader, config.camera, device)
    shown = tqdm(frames, total=len(frames), unit="frame", disable=not progress_wanted())
    outcome = protocol.run(frames, shown, _SAMPLES if pictures else 0)
    report = DepthReport(
        data=reader.name,
        asked=len(reader),
        skipped=frames.skipped,
        source=config.depth.source,
        scores=tuple(outcome.scores),
        machine=machine_line(str(device)),
        weights=weights_of(config),
    )
    for note in reader.report.notes:
        say(note)
    print_report(report, Console())
    _write(report, outcome.samples, config, figures, pictures)
    return 0


def _settings(arguments: argparse.Namespace) -> Config:
    """Return the parameters; the network is the source unless another is asked for."""
    config = read_settings(arguments.config, arguments.assignments)
    named = {text.partition("=")[0].strip() for text in arguments.assignments}
    if config.depth.source == "sensor" and "depth.source" not in named:
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


def _write(
    report: DepthReport,
    samples: list[Sample],
    config: Config,
    figures: Path | None,
    pictures: Path | None,
) -> None:
    """Write what was asked for, each file whole or not at all, and print where it is."""
    from e2e_slam_ros.data.atomic import write_bytes_atomic, write_text_atomic
    from e2e_slam_ros.evaluation.depth.figures import sample_grid, sparsification_plot

    written = []
    if figures is not None:
        text = json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n"
        write_text_atomic(figures, text)
        written.append(figures)
    if pictures is not None:
        written.append(pictures / FRAMES_PICTURE)
        write_bytes_atomic(written[-1], sample_grid(samples, config.depth.max_m))
        curves = report.curves()
        if curves is not None:
            written.append(pictures / CURVES_PICTURE)
            write_bytes_atomic(written[-1], sparsification_plot(curves))
    for path in written:
        print(path)
