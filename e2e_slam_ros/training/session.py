"""A training run put together from its configuration."""

from __future__ import annotations

from collections.abc import Callable

import torch

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.depth.architecture import DepthNetwork
from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.depth.checkpoint import load_weights
from e2e_slam_ros.training.board import Board, open_board
from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.datasets import StageData, build_data
from e2e_slam_ros.training.distributed import Group
from e2e_slam_ros.training.encoder_weights import load_encoder_weights
from e2e_slam_ros.training.journal import Journal
from e2e_slam_ros.training.learner import Learner, precision_of
from e2e_slam_ros.training.pose_net import PoseNet
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.state import TrainingState
from e2e_slam_ros.training.trainer import Outcome, Trainer
from e2e_slam_ros.training.validation import validation_of


def train(
    config: TrainConfig,
    folder: RunFolder,
    state: TrainingState | None,
    group: Group,
    device: torch.device,
    *,
    say: Callable[[str], None],
    progress: bool,
) -> Outcome:
    """Train as configured and leave weights, states and logs in the folder.

    Everything that can be found wrong before the first step is; nothing is written until then.

    Args:
        config: of the run.
        folder: it can be written; a new run's is empty.
        state: to go on from; None begins.
        group: the processes that train together, connected.
        device: of this process.
        say: tells the user a sentence; only the first process talks.
        progress: show bars.

    Raises:
        TrainingError: there is nothing to do or to learn from, weights are missing, training
            diverged.
        E2ESlamError: data cannot be read, files cannot be written.
    """
    if not stages_of(config):
        raise TrainingError.from_parts(
            "pretraining.steps and self_supervision.steps", "0", "steps to do", "set one of them"
        )
    precision_of(config.amp, device)
    torch.set_num_threads(config.threads or torch.get_num_threads())
    network, pose_net = _networks(config, state)
    data = _data(config, group, device, say, progress)
    validation, board = None, Board(None)
    if group.is_first:
        validation = validation_of(config.validation, config.width, config.height, device, say)
        board = open_board(folder.board, config.tensorboard, say)
    learner = Learner(network, pose_net, config, group, device)
    journal = Journal(
        folder,
        board,
        say,
        steps=stages_of(config)[-1].last,
        progress=progress,
        writes=group.is_first,
    )
    trainer = Trainer(config, learner, data, folder, group, journal, validation)
    if state is not None:
        trainer.restore(state)
        say(f"going on from step {state.step}")
    elif group.is_first:
        folder.start(config)
    try:
        return trainer.run()
    finally:
        board.close()


def _networks(
    config: TrainConfig, state: TrainingState | None
) -> tuple[DepthNetwork, PoseNet | None]:
    """Return the networks, the same in every process: of the seed, or of published weights."""
    torch.manual_seed(config.seed)
    if config.initial_weights and state is None:
        network = load_weights(config.initial_weights, config.architecture)
        network.requires_grad_(True)
    else:
        network = build_network(config.architecture)
        if state is None:
            load_encoder_weights(network, config.encoder_weights)
    if any(stage.config.weights.self_supervised for stage in stages_of(config)):
        return network, PoseNet(config.pose_network)
    return network, None


def _data(
    config: TrainConfig,
    group: Group,
    device: torch.device,
    say: Callable[[str], None],
    progress: bool,
) -> StageData:
    """Return the data; the first process renders what is missing while the others wait."""
    if not group.is_first:
        group.wait()
    data = build_data(config, group, device, say, progress)
    if group.is_first:
        group.wait()
    return data
