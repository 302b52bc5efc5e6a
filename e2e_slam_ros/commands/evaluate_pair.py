"""``e2e-slam evaluate --protocol pair``: the paper's table 1."""

from __future__ import annotations

import argparse

from tqdm import tqdm

from e2e_slam_ros.commands.evaluate_adaptation import SAMPLES, finish, prepare
from e2e_slam_ros.commands.terminal import progress_wanted

PROTOCOL = "pair"

# Paper, section 4.2. A keyframe that is refined again when later ones are there begins anew too.
_DEFAULTS = {"refine.steps": 25, "refine.network.reset_per_keyframe": True}


def run(arguments: argparse.Namespace) -> int:
    """Refine each frame with its neighbours; print the table, write figures and pictures.

    Raises:
        E2ESlamError: see `commands.evaluate.run`.
    """
    from e2e_slam_ros.config.device import resolve_device
    from e2e_slam_ros.evaluation.adaptation.adaptation_setup import AdaptationSetup
    from e2e_slam_ros.evaluation.adaptation.pair_protocol import PairProtocol
    from e2e_slam_ros.evaluation.adaptation.report import AdaptationReport
    from e2e_slam_ros.evaluation.machine import machine_line
    from e2e_slam_ros.evaluation.weights import weights_of

    job = prepare(arguments, _DEFAULTS)
    device = resolve_device(job.config.runtime.device)
    setup = AdaptationSetup(job.config, device, job.poor)
    protocol = PairProtocol(setup, job.reader)
    positions = range(0, len(job.reader), job.every or 1)
    shown = tqdm(positions, unit="keyframe", disable=not progress_wanted())
    samples = 0 if job.outputs.folder is None else SAMPLES
    outcome = protocol.run(shown, samples, len(positions))
    report = AdaptationReport(
        protocol=PROTOCOL,
        data=job.reader.name,
        frames=len(positions),
        left_out=protocol.left_out,
        source=setup.pipeline.source.traits.name,
        config=job.config,
        scores=tuple(outcome.scores),
        forgetting=None,
        machine=machine_line(str(device)),
        weights=None if job.poor else weights_of(job.config),
    )
    finish(job, report, outcome.samples)
    return 0
