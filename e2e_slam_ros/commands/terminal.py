"""Output of the commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import re
import sys

from rich.console import Console

from e2e_slam_ros.config.errors import E2ESlamError

# Exit codes. Shells report the second for a program that Ctrl-C ended.
FAILED, INTERRUPTED = 2, 130

_PARTS = re.compile(
    r"(?P<what>.*?): got (?P<got>.*), expected (?P<expected>.*?); (?P<do>.*)", re.DOTALL
)


def say(sentence: str) -> None:
    """Print a sentence for the user that is no result."""
    console = Console(stderr=True)
    console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def show_error(error: E2ESlamError) -> None:
    """Print an error, one line for each of its parts (got, expected, do)."""
    console = Console(stderr=True)
    parts = _PARTS.fullmatch(str(error))
    lines = [("error", str(error))]
    if parts is not None:
        lines = [
            ("error", parts["what"]),
            ("got", parts["got"]),
            ("expected", parts["expected"]),
            ("do", parts["do"]),
        ]
    for label, text in lines:
        console.print(f"{label + ':':<10}", style="bold red", end="")
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def progress_wanted() -> bool:
    """Return whether standard error is a terminal."""
    return sys.stderr.isatty()
