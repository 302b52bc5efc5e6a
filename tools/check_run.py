#!/usr/bin/env python3
"""Check the output folder of `e2e-slam replay --out`: all files are there and plausible.

The script uses only the standard library. It prints one line for each file. The exit status is 1
if a file is wrong.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NUMBERS = {
    "depth": ("abs_rel", "rmse", "delta_1"),
    "depth_unrefined": ("abs_rel", "rmse", "delta_1"),
    "trajectory": ("ate_rmse_m", "frames_tracked"),
}
KEYS = ("frames", "keyframes", "dropped", "surfels", "device", "wall_s", "latency_ms", *NUMBERS)
POSE_COLUMNS = 8


class WrongRun(ValueError):
    """A file of the folder is not as a run should leave it."""


def check_metrics(text: str) -> str:
    """Check that all documented keys are there, and null only where a value has no meaning."""
    metrics: dict[str, Any] = json.loads(text, parse_constant=_no_constant)
    missing = [key for key in KEYS if key not in metrics]
    for group, names in NUMBERS.items():
        missing += [f"{group}.{name}" for name in names if name not in metrics.get(group, {})]
    for stage, times in metrics.get("latency_ms", {}).items():
        missing += [f"latency_ms.{stage}.{p}" for p in ("p50", "p95") if p not in times]
    if missing:
        raise WrongRun(f"keys are missing: {', '.join(missing)}")
    empty = [key for key in ("frames", "keyframes", "surfels") if not metrics[key]]
    if empty or not metrics["latency_ms"]:
        raise WrongRun(f"nothing in {', '.join(empty) or 'latency_ms'}")
    return f"{metrics['frames']} frames, {metrics['keyframes']} keyframes"


def check_map(data: bytes) -> str:
    """Check that the map is a PLY file with points."""
    match = re.match(rb"ply\r?\n.*?element vertex (\d+)\r?\n.*?end_header\r?\n", data, re.DOTALL)
    if match is None or int(match[1]) == 0:
        raise WrongRun("no PLY header, or no points")
    return f"{int(match[1])} points"


def check_trajectory(text: str) -> str:
    """Check that each line holds a time stamp, a translation and a quaternion."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    if not lines:
        raise WrongRun("no poses")
    wrong = [line for line in lines if len(line) != POSE_COLUMNS]
    if wrong:
        raise WrongRun(f"got {len(wrong[0])} numbers in a line, expected {POSE_COLUMNS}")
    stamps = [float(line[0]) for line in lines]
    if stamps != sorted(stamps):
        raise WrongRun("time stamps are not in order")
    return f"{len(lines)} poses"


def check_config(text: str) -> str:
    """Check that the parameters are resolved, in the layout of a ROS parameter file."""
    names = re.findall(r"^ +(\w+): *\S", text, re.MULTILINE)
    if "ros__parameters:" not in text or not names:
        raise WrongRun("no parameters")
    return f"{len(names)} parameters"


def check_report(text: str) -> str:
    """Check that the report is one page with its pictures inside, so that it opens offline."""
    pictures = len(re.findall(r"data:image/|<svg", text))
    outside = re.findall(r"""(?:src|href)\s*=\s*["']?(?!#|data:)([^"'\s>]+)""", text)
    if "</html>" not in text.lower() or not pictures:
        raise WrongRun("not a complete page with pictures")
    if outside:
        raise WrongRun(f"it needs {outside[0][:80]}, expected everything inside the page")
    return f"{pictures} pictures"


def _no_constant(name: str) -> None:
    raise WrongRun(f"got {name}, expected a number or null")


CHECKS: dict[str, Callable[[Path], str]] = {
    "metrics.json": lambda path: check_metrics(path.read_text()),
    "map.ply": lambda path: check_map(path.read_bytes()),
    "trajectory.txt": lambda path: check_trajectory(path.read_text()),
    "config.yaml": lambda path: check_config(path.read_text()),
    "report.html": lambda path: check_report(path.read_text()),
}


def check_run(folder: Path) -> list[str]:
    """Return one complaint for each file of `folder` that is missing or wrong."""
    complaints = []
    for name, check in CHECKS.items():
        path = folder / name
        try:
            if not path.is_file():
                raise WrongRun("it is not there")
            print(f"{name}: {check(path)}, {path.stat().st_size / 1e3:.0f} kB")
        except (WrongRun, UnicodeDecodeError, json.JSONDecodeError) as error:
            complaints.append(f"{path}: {error}")
    return complaints


def main() -> int:
    """Check one folder and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what `e2e-slam replay --out` was given")
    complaints = check_run(parser.parse_args().folder)
    for line in complaints:
        print(f"WRONG {line}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
