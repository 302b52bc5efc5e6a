"""Options that name the parts of an input: the same for every command."""

from __future__ import annotations

import argparse

from e2e_slam_ros.config.input import InputOptions, flag
from e2e_slam_ros.config.leaf import leaves


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add ``--image-topic`` and the other options of `InputOptions`."""
    group = parser.add_argument_group(
        "input", "parts of the input, where the choice that is printed is not the right one"
    )
    for info in leaves(InputOptions()):
        is_text = isinstance(info.default, str)
        group.add_argument(
            flag(info.name),
            type=str if is_text else float,
            default=info.default,
            dest=info.name,
            choices=info.choices or None,
            metavar=None if info.choices else ("TEXT" if is_text else "NUMBER"),
            help=info.doc if info.default in ("", 0.0) else f"{info.doc} (default: %(default)s)",
        )


def input_of(arguments: argparse.Namespace) -> InputOptions:
    """Return the options of a parsed command line.

    Raises:
        ConfigError: a negative number.
    """
    names = [info.name for info in leaves(InputOptions())]
    return InputOptions(**{name: getattr(arguments, name) for name in names})
