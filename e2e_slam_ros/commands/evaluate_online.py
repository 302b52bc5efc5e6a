"""``e2e-slam evaluate --protocol online``: a whole sequence, learning as it goes."""

from __future__ import annotations

import argparse

from tqdm import tqdm

from e2e_slam_ros.commands.evaluate_adaptation import SAMPLES, finish, prepare
from e2e_slam_ros.commands.terminal import progress_wanted

PROTOCOL = "online"

_DEFAULTS = {"refine.steps": 5}


def run(arguments: argparse.Namespace) -> int:
    """Run the sequence; print the table, write figures and pictures.

    Raises:
        E2ESlamError: see `commands.evaluate.run`.
    """
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationSetup
    from e2e_slam_ros.evaluation.adaptation.online_protocol import OnlineProtocol
    from e2e_slam_ros.evaluation.adaptation.report import AdaptationReport
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.weights import weights_of

    job = prepare(arguments, _DEFAULTS)
    device = resolve_device(job.config.runtime.device)
    setup = AdaptationSetup(job.config, device, job.poor)
    protocol = OnlineProtocol(setup, job.every)
    positions = range(len(job.reader))
    shown = tqdm(positions, unit="frame", disable=not progress_wanted())
    samples = 0 if job.outputs.folder is None else SAMPLES
    outcome = protocol.run(job.reader, shown, samples)
    report = AdaptationReport(
        protocol=PROTOCOL,
        data=job.reader.name,
        frames=len(positions),
        left_out=protocol.left_out,
        source=setup.pipeline.source.traits.name,
        config=job.config,
        scores=tuple(outcome.scores),
        forgetting=outcome.forgetting,
        machine=machine_line(str(device)),
        weights=None if job.poor else weights_of(job.config),
    )
    finish(job, report, outcome.samples)
    return 0
