"""Where weights come from, in words that travel with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import torch

from e2e_slam_ros import __version__
from e2e_slam_ros.config.leaf import get_leaf
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.training.config import TrainConfig

_TIMEOUT_S = 5.0
# Settings that are paths, or lists of them.
_FOLDERS = (
    "data.procedural.cache",
    "data.labelled.paths",
    "data.video.paths",
    "validation.path",
    "encoder_weights",
    "initial_weights",
)


def provenance(config: TrainConfig, steps: int, trained_s: float, device: str) -> dict[str, str]:
    """Return the metadata of trained weights: recipe, seed, code, machine."""
    return {
        "architecture": config.architecture,
        "seed": str(config.seed),
        "steps": str(steps),
        "size": f"{config.width}x{config.height}",
        "config": _without_folders(config).to_yaml(),
        "commit": _commit(),
        "version": __version__,
        "torch": torch.__version__,
        "machine": machine_line(device),
        "trained_s": f"{trained_s:.0f}",
    }


def _without_folders(config: TrainConfig) -> TrainConfig:
    """Return the settings with paths cut to their last names: the rest is one machine's."""
    values: dict[str, object] = {}
    for name in _FOLDERS:
        text = str(get_leaf(config, name))
        values[name] = ",".join(Path(part.strip()).name for part in text.split(","))
    return config.with_values(values)


def _commit() -> str:
    """Return the commit of the code, "-changed" when files differ from it, or "unknown"."""
    folder = Path(__file__).resolve().parent
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("-changed" if changed else "")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
    )
    return done.stdout.strip()
