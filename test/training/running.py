"""Training runs put together for tests, without files of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from e2e_slam_ros.depth.architectures import build_network
from e2e_slam_ros.training.board import Board
from e2e_slam_ros.training.config import TrainConfig
from e2e_slam_ros.training.distributed import Group
from e2e_slam_ros.training.journal import Journal
from e2e_slam_ros.training.learner import Learner
from e2e_slam_ros.training.pose_net import PoseNet
from e2e_slam_ros.training.run_folder import RunFolder
from e2e_slam_ros.training.schedule import stages_of
from e2e_slam_ros.training.trainer import BatchSource, Trainer


def make_learner(config: TrainConfig, group: Group | None = None, device: str = "cpu") -> Learner:
    torch.manual_seed(config.seed)
    network = build_network(config.architecture)
    pose_net = PoseNet() if config.self_supervision.steps else None
    return Learner(network, pose_net, config, group or Group(), torch.device(device))


def make_trainer(
    config: TrainConfig,
    learner: Learner,
    source: BatchSource,
    out: Path,
    *,
    group: Group | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Trainer:
    folder = RunFolder(out)
    if not folder.config.exists() and (group is None or group.is_first):
        folder.start(config)
    data: Mapping[str, BatchSource] = {stage.name: source for stage in stages_of(config)}
    steps = stages_of(config)[-1].last
    writes = group is None or group.is_first
    journal = Journal(folder, Board(None), say, steps=steps, progress=False, writes=writes)
    return Trainer(config, learner, data, folder, group or Group(), journal, None)
