"""Training runs put together for tests, without files of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from e2e_slam_ros.training.distributed import Group
from e2e_slam_ros.training.learner import Learner
from e2e_slam_ros.training.precision import precision_of
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.sc_sfm.config import SCSfMConfig
from e2e_slam_ros.training.sc_sfm.task import SCSfMTask
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.task import BatchSource, RunContext
from e2e_slam_ros.training.tensorboard_log import TensorBoardLog
from e2e_slam_ros.training.trainer import Trainer
from e2e_slam_ros.training.training_log import TrainingLog


def silent(_: str) -> None:
    """Say nothing."""


def context_of(
    amp: str = "off",
    *,
    group: Group | None = None,
    device: str = "cpu",
    say: Callable[[str], None] = silent,
) -> RunContext:
    where = torch.device(device)
    return RunContext(group or Group(), where, precision_of(amp, where), say, False)


class Run:
    """A task's loop, step by step; the data of SC-SfM are given."""

    def __init__(
        self,
        config: SCSfMConfig,
        source: BatchSource[Any],
        out: Path,
        *,
        group: Group | None = None,
        device: str = "cpu",
    ) -> None:
        context = context_of(config.amp, group=group, device=device)
        task = SCSfMTask(config, context)
        torch.manual_seed(config.seed)
        self.learner = Learner(task, task.build_modules(fresh=True), context)
        folder, stages = RunFolder(out), stages_of(config)
        if not folder.config.exists() and context.group.is_first:
            folder.start(config)
        data: Mapping[str, BatchSource[Any]] = {stage.name: source for stage in stages}
        log = TrainingLog(folder, TensorBoardLog(None), context, steps=stages[-1].last)
        self.trainer = Trainer(task, self.learner, data, folder, context, log)
