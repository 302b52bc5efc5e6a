"""Where weights come from, in words that travel with them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import torch

from e2e_slam_ros import __version__
from e2e_slam_ros.evaluation.machine import machine_line
from e2e_slam_ros.training.config import TrainConfig

_TIMEOUT_S = 5.0


def provenance(config: TrainConfig, steps: int, trained_s: float, device: str) -> dict[str, str]:
    """Return the metadata of trained weights: recipe, seed, code, machine."""
    return {
        "seed": str(config.seed),
        "steps": str(steps),
        "config": config.without_folders().to_yaml(),
        "commit": _commit(),
        "version": __version__,
        "torch": torch.__version__,
        "machine": machine_line(device),
        "trained_s": f"{trained_s:.0f}",
    }


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
