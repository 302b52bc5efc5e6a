"""Parameters of a run, from a parameter file, ``--set`` and the input."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from e2e_slam_ros.commands.sequence import Offer
from e2e_slam_ros.commands.terminal import say
from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DataError


def add_settings(parser: argparse.ArgumentParser, what: str, listing: str, file: str) -> None:
    """Add ``--set`` and ``--config``, with words for a setting, the list of all, and the file."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help=f"change a {what}; may be repeated (list: {listing})",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help=file)


def named_in(assignments: Sequence[str]) -> set[str]:
    """Return the names of ``key=value`` texts."""
    return {text.partition("=")[0].strip() for text in assignments}


def read_settings(file: Path | None, assignments: Sequence[str]) -> Config:
    """Return the parameters of ``file``, changed by ``key=value`` texts. None means the defaults.

    Raises:
        ConfigError: the file cannot be read, or a parameter is unknown or out of range.
    """
    config = Config() if file is None else Config.from_yaml(settings_text(file))
    return config.with_assignments(assignments)


def settings_text(file: Path) -> str:
    """Return the content of a file of settings.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError.from_parts(
            "--config", problem, "a readable file of settings", "check the path"
        ) from problem


def fitted(config: Config, assignments: Sequence[str], offer: Offer, lockstep: bool) -> Config:
    """Return the parameters, with those that the user left open fitted to the input.

    Raises:
        ConfigError: the parameters take poses from elsewhere than the recording.
        DataError: the input lacks poses or depth that the parameters need.
    """
    from e2e_slam_ros.slam.depth_sources import depth_traits

    named = named_in(assignments)
    if config.pose.source != "topic" and not config.pose.is_tracked:
        raise ConfigError.from_parts(
            "parameter pose.source",
            repr(config.pose.source),
            "'topic' (the player publishes camera/pose), or one that finds poses from the images",
            "set pose.source=topic or pose.source=visual",
        )
    if config.pose.source == "topic":
        offer.require_pose("add them, or find them from the images with --set pose.source=visual")
    if lockstep and "runtime.offline" not in named:
        config = config.with_values({"runtime.offline": True})
    if not depth_traits(config).needs_sensor or offer.has_depth:
        return config
    if config.depth.network.checkpoint and "depth.source" not in named:
        return config.with_values({"depth.source": "network"})
    if "depth.source" not in named:
        say(f"depth images: {offer.lacking}; depth comes from the motion of the camera instead")
        return config.with_values({"depth.source": "motion_stereo"})
    raise DataError.from_parts(
        "depth images",
        offer.lacking,
        "registered depth images, or another depth.source than sensor",
        "give --set depth.source=motion_stereo (from the motion of the camera) or "
        "--set depth.source=network (from each image; "
        "--set depth.network.checkpoint=PATH for other weights than the package's)",
    )
