"""Run a command with its output in a log file and a progress display on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HEARTBEAT_S = 10.0
TAIL_LINES = 30


class StepFailed(RuntimeError):
    """A step of the build failed. The text says what to do."""


def run_logged(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run `command`. If it fails, raise StepFailed with the end of its output."""
    with log.open("ab") as sink:
        start = sink.tell()
        sink.write(f"\n$ {' '.join(command)}\n".encode())
        sink.flush()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**clean_environment(), **(environment or {})},
        )
        code = _wait(process, log, start)
    if code != 0:
        tail = _text_since(log, start)[-TAIL_LINES:]
        text = "\n".join(f"    {line}" for line in tail)
        raise StepFailed(f"`{' '.join(command[:6])} ...` ended with {code}\n{text}\n  log: {log}")


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that the ROS wheels of another venv set."""
    environment = dict(os.environ)
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    environment.pop("PYTHONHOME", None)
    return environment


def _wait(process: subprocess.Popen[bytes], log: Path, start: int) -> int:
    began = time.monotonic()
    shown = began
    while True:
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            if now - shown >= HEARTBEAT_S:
                shown = now
                last = _text_since(log, start)[-1:] or [""]
                print(f"  {now - began:4.0f} s  {last[0].strip()[:80]}", flush=True)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            sys.exit(130)


def _text_since(log: Path, start: int) -> list[str]:
    with log.open("rb") as source:
        source.seek(start)
        text = source.read().decode(errors="replace").replace("\r", "\n")
    return [line for line in text.split("\n") if line.strip()]
