"""The state of a training run in one file, so that it continues exactly where it stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from e2e_slam_ros.config.errors import TrainingError
from e2e_slam_ros.data.atomic import open_atomic

_KEPT = 2
_NAME = re.compile(r"step_(\d+)\.safetensors")


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Everything that the next step depends on, besides the data.

    Attributes:
        step: how many steps are done.
        world: how many processes trained.
        config: YAML of the run.
        skipped: steps left out so far because a gradient was not finite.
        skipped_in_row: how many of these at the end.
        trained_s: time spent in steps so far, seconds.
        tensors: by name: ``objective.*``, ``average.*``, ``optimiser.<parameter>.<moment>``.
        scaler: state of the gradient scaler of fp16; empty without.
        best: the best validation figure so far; None without.

    >>> TrainingState(7, 1, "seed: 3", 0, 0, 4.5, {}).best is None
    True
    """

    step: int
    world: int
    config: str
    skipped: int
    skipped_in_row: int
    trained_s: float
    tensors: Mapping[str, torch.Tensor]
    scaler: Mapping[str, float] = field(default_factory=dict)
    best: float | None = None


def save_state(folder: Path, state: TrainingState) -> Path:
    """Write a state and remove all but the last two; return its path.

    Raises:
        TrainingError: the folder cannot be written or the disk is full; older states stay.
    """
    path = folder / f"step_{state.step:08d}.safetensors"
    about = {item.name: getattr(state, item.name) for item in fields(state)}
    del about["tensors"]
    tensors = {
        name: value.detach().cpu().contiguous().clone() for name, value in state.tensors.items()
    }
    with open_atomic(path, TrainingError) as stream:
        stream.write(save(tensors, metadata={"training": json.dumps(about)}))
    for _, old in _saved(folder)[:-_KEPT]:
        with suppress(OSError):
            old.unlink()
    return path


def load_last_state(folder: Path) -> TrainingState | None:
    """Return the newest state that can be read, or None where none was ever saved.

    Raises:
        TrainingError: there are states, but none is readable.
    """
    saved = _saved(folder)
    problem: Exception | None = None
    for _, path in reversed(saved):
        try:
            return _read(path)
        except Exception as error:  # what safetensors raises for damaged bytes varies
            problem = problem or error
    if problem is None:
        return None
    raise TrainingError.from_parts(
        f"training state in {folder}",
        f"{len(saved)} damaged file(s) ({str(problem).splitlines()[0][:120]})",
        "at least one that can be read",
        "start again in another --out",
    ) from problem


def _saved(folder: Path) -> list[tuple[int, Path]]:
    """Return (step, path) of the states in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match.group(1)), path) for match, path in found if match)


def _read(path: Path) -> TrainingState:
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["training"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return TrainingState(tensors=tensors, **about)
