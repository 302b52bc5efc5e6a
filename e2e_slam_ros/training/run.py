"""A training run put together from its task."""

from __future__ import annotations

from typing import Any

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.learner import Learner
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.schedule import stage_configs, stages_of
from e2e_slam_ros.training.state import TrainingState
from e2e_slam_ros.training.task import RunContext, Task
from e2e_slam_ros.training.tensorboard_log import TensorBoardLog, open_tensorboard
from e2e_slam_ros.training.trainer import Trainer, TrainingOutcome
from e2e_slam_ros.training.training_log import TrainingLog


def train(
    task: Task[Any], folder: RunFolder, state: TrainingState | None, context: RunContext
) -> TrainingOutcome:
    """Train as configured and leave weights, states and logs in the folder.

    Everything that can be found wrong before the first step is; nothing is written until then.

    Args:
        task: with the settings of the run.
        folder: it can be written; a new run's is empty.
        state: to go on from; None begins.
        context: the processes, connected, and the device.

    Raises:
        TrainingError: there is nothing to do or to learn from, weights are missing, training
            diverged.
        E2ESlamError: data cannot be read, files cannot be written.
    """
    config, group = task.config, context.group
    stages = stages_of(config)
    if not stages:
        names = " and ".join(f"{name}.steps" for name in stage_configs(config))
        raise TrainingError.from_parts(names, "0", "steps to do", "set one of them")
    torch.set_num_threads(config.threads or torch.get_num_threads())
    torch.manual_seed(config.seed)
    modules = task.build_modules(fresh=state is None)
    if not group.is_first:
        group.wait()  # the first process prepares files
    data = task.build_data()
    if group.is_first:
        group.wait()
    tensorboard = TensorBoardLog(None)
    if group.is_first:
        tensorboard = open_tensorboard(folder.tensorboard, config.tensorboard, context.say)
    learner = Learner(task, modules, context)
    log = TrainingLog(folder, tensorboard, context, steps=stages[-1].last)
    trainer = Trainer(task, learner, data, folder, context, log)
    if state is not None:
        trainer.restore(state)
        context.say(f"going on from step {state.step}")
    elif group.is_first:
        folder.start(config)
    try:
        return trainer.run()
    finally:
        tensorboard.close()
