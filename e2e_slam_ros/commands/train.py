"""``e2e-slam train``: make network weights."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from e2e_slam_ros.commands.settings import add_settings, settings_text
from e2e_slam_ros.commands.terminal import INTERRUPTED, progress_wanted, say
from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.training.registry import TASKS, recipe_config, task_type

if TYPE_CHECKING:
    from e2e_slam_ros.training.config import TrainConfig
    from e2e_slam_ros.training.distributed import Group
    from e2e_slam_ros.training.run_folder import RunFolder
    from e2e_slam_ros.training.state import TrainingState
    from e2e_slam_ros.training.trainer import TrainingOutcome

NAME = "train"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="train the depth network",
        description="Trains the depth network: supervised on rendered rooms and recordings with "
        "depth, then self-supervised on pairs of views. Ctrl-C saves; --resume goes on exactly "
        "there. Several processes: torchrun --nproc-per-node N -m e2e_slam_ros.cli train ...",
    )
    parser.add_argument("task", choices=list(TASKS), help="the training task, with its recipe")
    add_settings(parser, "setting", "--print-config", "YAML with settings that differ")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write (default: out/train-<time>)"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--print-config", action="store_true", help="print every setting and train nothing"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Train and print the result; return the exit code (130 when it was stopped early).

    Raises:
        E2ESlamError: a setting, the data or the output folder cannot be used, or the training
            diverged.
    """
    if arguments.print_config:
        config = _changed(recipe_config(arguments.task), arguments)
        sys.stdout.write(config.to_yaml(documented=True))
        return 0
    from e2e_slam_ros.training.distributed import group_of_environment, joined
    from e2e_slam_ros.training.precision import precision_of
    from e2e_slam_ros.training.run import train
    from e2e_slam_ros.training.task import RunContext

    group = group_of_environment()
    voice = say if group.is_first else _silent
    with ExitStack() as stack:
        folder, config, state = _begin(arguments, group, stack)
        device = group.device(config.device)
        stack.enter_context(joined(group, device))
        precision = precision_of(config.amp, device)
        context = RunContext(group, device, precision, voice, progress_wanted() and group.is_first)
        task = task_type(arguments.task)(config, context)
        voice(f"training {task.name} on {device}, into {folder.path}")
        outcome = train(task, folder, state, context)
    if group.is_first:
        _conclude(outcome, folder, arguments.task)
    return INTERRUPTED if outcome.interrupted else 0


def _begin(
    arguments: argparse.Namespace, group: Group, stack: ExitStack
) -> tuple[RunFolder, TrainConfig, TrainingState | None]:
    """Return the folder, the settings and the state that the run begins with."""
    from e2e_slam_ros.training.run_folder import (
        RunFolder,
        earlier_folder,
        new_folder,
        refuse_changes,
    )
    from e2e_slam_ros.training.state import load_last_state

    if arguments.resume:
        if arguments.out is None:
            raise TrainingError.from_parts(
                "--resume", "no --out", "the folder of the run to go on with", "add --out DIR"
            )
        folder, before = earlier_folder(arguments.out, task_type(arguments.task).config_type)
        config = _changed(before, arguments)
        refuse_changes(before, config)
        return folder, config, load_last_state(folder.states)
    config = _changed(recipe_config(arguments.task), arguments)
    path = arguments.out or Path("out") / f"train-{datetime.now():%Y%m%d-%H%M%S}"
    if not group.is_first:  # only the first process writes
        return RunFolder(path.expanduser().absolute()), config, None
    return stack.enter_context(new_folder(path)), config, None


def _changed(config: TrainConfig, arguments: argparse.Namespace) -> TrainConfig:
    """Return the settings with the changes of the command line."""
    if arguments.config is not None:
        config = config.with_yaml(settings_text(arguments.config))
    config = config.with_assignments(arguments.assignments)
    if arguments.device is not None:
        config = config.with_values({"device": arguments.device})
    return config


def _conclude(outcome: TrainingOutcome, folder: RunFolder, task: str) -> None:
    """Print the result, or how to go on."""
    speed = f", {outcome.samples_per_s:.1f} images/s" if outcome.samples_per_s else ""
    skipped = f", {outcome.skipped} steps skipped" if outcome.skipped else ""
    say(f"{outcome.step} of {outcome.steps} steps{speed}{skipped}")
    for name, value in outcome.validation.items():
        print(f"{name} {value:.4f}")
    print(folder.weights)
    if outcome.interrupted:
        out = shlex.quote(str(folder.path))
        say(f"interrupted: go on with  e2e-slam train {task} --out {out} --resume")


def _silent(_: str) -> None:
    """Say nothing: the first process does."""
