"""The ``e2e-slam`` command."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from e2e_slam_ros import __version__
from e2e_slam_ros.commands import (
    convert,
    download_weights,
    evaluate,
    inspect,
    live,
    make_scene,
    mesh,
    parameters,
    replay,
    train,
)
from e2e_slam_ros.commands.terminal import FAILED, INTERRUPTED, say, show_error
from e2e_slam_ros.config.allocator import keep_freed_memory
from e2e_slam_ros.config.errors import E2ESlamError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 2 for a refusal, 130 for Ctrl-C or SIGTERM.

    ``argv`` without the program's name; None takes the process's arguments.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    keep_freed_memory()
    parsed = _parser().parse_args(arguments)
    try:
        with _ended_like_ctrl_c():
            code: int = parsed.run(parsed, arguments)
    except E2ESlamError as error:
        show_error(error)
        return FAILED
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # `e2e-slam parameters --yaml | head`
        sys.stderr.close()
        return 0
    return code


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, which job managers send, end a run like Ctrl-C: with its files written."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets no other thread set handlers
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="e2e-slam", description="Dense mapping from a moving camera, with ROS 2."
    )
    parser.add_argument("--version", action="version", version=f"e2e-slam {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    used = live, replay, inspect, convert, evaluate, train, make_scene, mesh
    for command in (*used, parameters, download_weights):
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
