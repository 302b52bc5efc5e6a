"""From a parameter file, ``--set`` and what the input offers to the parameters of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from e2e_slam_ros.commands.sequence import Offer
from e2e_slam_ros.config import Config
from e2e_slam_ros.errors import ConfigError, DataError


def read_settings(file: Path | None, assignments: Sequence[str]) -> Config:
    """Return the parameters of ``file`` (None: the defaults) changed by ``key=value`` texts.

    Raises:
        ConfigError: the file cannot be read, or a parameter is unknown or out of range.
    """
    config = Config()
    if file is not None:
        try:
            config = Config.from_yaml(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigError.from_parts(
                "--config", problem, "a readable parameter file", "check the path"
            ) from problem
    return config.with_assignments(list(assignments))


def fitted(config: Config, assignments: Sequence[str], offer: Offer, lockstep: bool) -> Config:
    """Return the parameters that fit the input, where the user left them open.

    Raises:
        DataError: the input lacks what the parameters need (poses, depth or a network).
    """
    named = {text.partition("=")[0].strip() for text in assignments}
    if not offer.has_pose:
        raise DataError.from_parts(
            "camera poses",
            f"none in {offer.looked_at} frames looked at",
            "a pose for each frame (groundtruth.txt, or a pose or odometry topic in a bag)",
            "add them; without poses nothing can be mapped",
        )
    if lockstep and "runtime.offline" not in named:
        config = config.with_values({"runtime.offline": True})
    if config.depth.source != "sensor" or offer.has_depth:
        return config
    if config.depth.network.checkpoint and "depth.source" not in named:
        return config.with_values({"depth.source": "network"})
    raise DataError.from_parts(
        "depth images",
        f"none in {offer.looked_at} frames looked at",
        "registered depth images, or weights for the depth network",
        "give --set depth.source=network --set depth.network.checkpoint=PATH",
    )
