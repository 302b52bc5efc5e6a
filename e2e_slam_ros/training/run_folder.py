"""The folder of a training run: its files, and checks that it may be written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.atomic import (
    made_folder,
    require_writable,
    write_error,
    write_text_atomic,
)
from e2e_slam_ros.training.config import AnyConfig, TrainConfig

CONFIG_FILE, METRICS_FILE, WEIGHTS_FILE = "config.yaml", "metrics.jsonl", "weights.safetensors"
BEST_FILE, STATE_FOLDER, TENSORBOARD_FOLDER = "best.safetensors", "state", "tensorboard"


class RunFolder:
    """Paths of a run's files, and its log.

    Args:
        path: absolute.

    >>> RunFolder(Path("/tmp/run")).weights.name
    'weights.safetensors'
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG_FILE
        self.metrics = path / METRICS_FILE
        self.weights = path / WEIGHTS_FILE
        self.best_weights = path / BEST_FILE
        self.states = path / STATE_FOLDER
        self.tensorboard = path / TENSORBOARD_FOLDER

    def start(self, config: TrainConfig) -> None:
        """Write the configuration and an empty log; from here on the folder holds a run.

        Raises:
            DataError: it cannot be written.
        """
        write_text_atomic(self.config, config.to_yaml(documented=True))
        write_text_atomic(self.metrics, "")

    def log(self, values: Mapping[str, object]) -> None:
        """Append one line of JSON to the metrics.

        Raises:
            TrainingError: it cannot be written.
        """
        try:
            with self.metrics.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(values, allow_nan=False) + "\n")
        except OSError as problem:
            raise write_error(self.metrics, problem, TrainingError) from problem

    def forget_after(self, step: int) -> None:
        """Remove logged lines past ``step``: they are about to be logged again."""
        if not self.metrics.is_file():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError, KeyError):  # the last may be cut off
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        write_text_atomic(self.metrics, "".join(kept))


@contextmanager
def new_folder(path: Path) -> Iterator[RunFolder]:
    """Make the folder of a new run; when the block fails with nothing in it, take it away.

    Raises:
        TrainingError: it holds a run already, or cannot be written.
    """
    folder = RunFolder(path.expanduser().absolute())
    found = [
        item.name
        for item in (folder.config, folder.states, folder.weights, folder.metrics)
        if os.path.lexists(item)
    ]
    if found:
        raise TrainingError.from_parts(
            f"output folder {folder.path}",
            f"{' and '.join(found)} of another run",
            "a folder without a run",
            "give --resume to continue it, or choose another --out",
        )
    with made_folder(folder.path, TrainingError):
        yield folder


def earlier_folder(path: Path, config_type: type[AnyConfig]) -> tuple[RunFolder, AnyConfig]:
    """Return the folder of an earlier run, which can be written, and its configuration.

    Raises:
        TrainingError: there is no run in it, or it cannot be written.
        ConfigError: its configuration cannot be read by this version.
    """
    folder = RunFolder(path.expanduser().absolute())
    try:
        text = folder.config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise TrainingError.from_parts(
            f"--resume of {folder.path}",
            f"no readable {CONFIG_FILE}",
            "the --out folder of an earlier run",
            "check --out, or leave --resume out to start a new run",
        ) from problem
    require_writable(folder.path, TrainingError)
    return folder, config_type.from_yaml(text)


def refuse_changes(before: TrainConfig, now: TrainConfig) -> None:
    """Refuse to continue a run with settings that decide its result and differ.

    Raises:
        TrainingError: naming the settings.
    """
    changed = before.differences(now)
    if changed:
        shown = ", ".join(changed[:4]) + (" and more" if len(changed) > 4 else "")
        raise TrainingError.from_parts(
            "--resume",
            f"another {shown} than the run was started with",
            "the same settings",
            "leave --config and --set out to take the run's own, or start a new run",
        )
