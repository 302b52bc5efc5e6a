"""``e2e-slam download-weights``: fetch depth network weights published by other authors."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from e2e_slam_ros.commands.terminal import say
from e2e_slam_ros.config.errors import ConfigError
from e2e_slam_ros.depth.published import (
    PUBLISHED,
    PublishedWeights,
    download_published,
    find_published,
)

NAME = "download-weights"
_LONGEST_S = 3600.0


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        NAME,
        help="download depth network weights that others have published",
        description="The weights of the default network come with the package; these are others.",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="which; without it they are listed"
    )
    parser.add_argument("--list", action="store_true", help="list what is known and end")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for the file (default: the user's cache)"
    )
    parser.add_argument(
        "--url",
        default="",
        help="address of the file, or of the folder where there are several files: where the list "
        "has none, or another copy",
    )
    parser.add_argument(
        "--sha256", default="", metavar="HEX", help="its SHA-256, where the list has none"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=10.0,
        metavar="S",
        help="seconds without an answer after which to give up (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Download a file, or list the published files; return the exit code."""
    if arguments.list or arguments.name is None:
        print("\n\n".join(_described(entry) for entry in PUBLISHED))
        return 0
    if not 0.0 < arguments.timeout <= _LONGEST_S:
        allowed = f"more than 0 and at most {_LONGEST_S:g}"
        raise ConfigError.from_parts("--timeout", arguments.timeout, allowed, "change it")
    entry = find_published(arguments.name)
    folder = arguments.out or _cache()
    path = download_published(
        entry, folder, arguments.url, arguments.sha256, timeout=arguments.timeout
    )
    say(f"{entry.name}: {entry.what}")
    say(f"licence: {entry.licence}")
    if entry.architecture:
        say(
            "use it: e2e-slam replay ... --set depth.source=network "
            f"--set depth.network.architecture={entry.architecture} "
            f"--set depth.network.checkpoint={path}"
        )
    print(path)
    return 0


def _cache() -> Path:
    """Return the cache folder for downloaded files."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return base / "e2e_slam_ros" / "weights"


def _described(entry: PublishedWeights) -> str:
    """Return the entry's lines in the list."""
    size = "size unknown" if entry.size is None else f"{entry.size / 1e6:.1f} MB"
    how = entry.url or "by hand: its authors publish it for browsers, without a SHA-256"
    lines = [
        ("", entry.what),
        ("loaded by", entry.architecture and f"depth.network.architecture={entry.architecture}"),
        ("licence", entry.licence),
        ("file", f"{', '.join([entry.file, *(part.file for part in entry.beside)])} ({size})"),
        ("sha256", entry.sha256),
        ("download", how),
        ("page", entry.page),
    ]
    told = [f"  {label + ': ' if label else ''}{text}" for label, text in lines if text]
    return "\n".join([entry.name, *told])
