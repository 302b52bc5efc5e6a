"""``e2e-slam evaluate --protocol eigen``."""

from __future__ import annotations

import argparse

from rich.console import Console
from tqdm import tqdm

from e2e_slam_ros.commands.outputs import output_file, output_folder, write_report
from e2e_slam_ros.commands.settings import named_in, read_settings
from e2e_slam_ros.commands.terminal import progress_wanted
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError

PROTOCOL = "eigen"


def run(arguments: argparse.Namespace) -> int:
    """Compare the depth of listed images with the scanner's; print the table, write the files.

    Raises:
        E2ESlamError: see `commands.evaluate.run`.
    """
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.data.frame import FrameReader
    from e2e_slam_ros.data.kitti_raw import TRUTHS, KittiRawImages
    from e2e_slam_ros.data.slice import FrameSlice, parse_frames
    from e2e_slam_ros.evaluation.depth.predictor import build_predictor
    from e2e_slam_ros.evaluation.eigen.protocol import EigenProtocol
    from e2e_slam_ros.evaluation.eigen.report import EigenReport
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.weights import weights_of

    config = _settings(arguments)
    figures, folder = output_file(arguments.json), output_folder(arguments.out)
    if arguments.list is None:
        raise ConfigError.from_parts(
            "--list",
            "nothing",
            "the list of test images, as published with Eigen's split",
            "give --list eigen_test_files.txt; this package has no copy of it",
        )
    truth = TRUTHS[0] if arguments.truth is None else arguments.truth
    images, data = arguments.list.expanduser(), arguments.data.expanduser()
    reader: FrameReader = KittiRawImages(data, images, truth)
    if arguments.frames is not None:
        reader = FrameSlice(reader, *parse_frames(arguments.frames))
    device = resolve_device(config.runtime.device)
    protocol = EigenProtocol(build_predictor(config, device), config, device)
    positions = range(len(reader))
    protocol.run(reader, tqdm(positions, unit="image", disable=not progress_wanted()))
    report = EigenReport(
        data=reader.name,
        asked=len(reader),
        skipped=protocol.left_out.counts,
        truth=truth,
        scores=tuple(protocol.scores),
        machine=machine_line(str(device)),
        weights=weights_of(config),
    )
    report.table().print(Console())
    write_report(report, figures, folder, {})
    return 0


def _settings(arguments: argparse.Namespace) -> Config:
    """Return the parameters; the network is the source, and sees the images at their full size."""
    from e2e_slam_ros.evaluation.eigen.protocol import refuse_other_views
    from e2e_slam_ros.slam.depth_sources import depth_traits

    config = read_settings(arguments.config, arguments.assignments)
    named = named_in(arguments.assignments)
    if depth_traits(config).needs_sensor and "depth.source" not in named:
        config = config.with_values({"depth.source": "network"})
    usual = config.camera.working_width == Config().camera.working_width
    if usual and "camera.working_width" not in named:
        config = config.with_values({"camera.working_width": 0})
    refuse_other_views(config)
    return config
