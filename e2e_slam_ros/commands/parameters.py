"""``e2e-slam parameters``: print all parameters as a parameter file or as a table."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from e2e_slam_ros.config import Config, parameters

if TYPE_CHECKING:
    from e2e_slam_ros.config.leaf import ParameterInfo

NAME = "parameters"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(NAME, help="print every parameter with its default and meaning")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--yaml", action="store_true", help="as a ROS parameter file with comments (default)"
    )
    form.add_argument("--markdown", action="store_true", help="as a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print the parameters. Return the exit code."""
    text = markdown_table() if arguments.markdown else Config().to_yaml(documented=True)
    print(text, end="")
    return 0


def markdown_table() -> str:
    """Return the table of all parameters for the documentation."""
    lines = ["| parameter | default | allowed | live | meaning |", "|---|---|---|---|---|"]
    lines += [_row(info) for info in parameters()]
    return "\n".join(lines) + "\n"


def _row(info: ParameterInfo) -> str:
    default = info.default
    shown = str(default).lower() if isinstance(default, bool) else str(default)
    value = f"`{shown}`" if shown else "(empty)"
    cells = [f"`{info.name}`", value, info.allowed, "yes" if info.live else "", info.doc]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
