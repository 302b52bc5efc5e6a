"""RGB-D mode over ROS: keyframes fused, frames on TF, distance of the map from measured points.

    python bench/rgbd_map.py ../shared/data/hololens/rooms_000 ../shared/data/tum/*rpy_excerpt

Replays each sequence twice in lock-step through `e2e-slam replay` and prints one row a sequence.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from e2e_slam_ros.evaluation.machine import machine_line


def replay(data: Path, out: Path) -> dict[str, Any]:
    """Run one replay and return its metrics."""
    command = [sys.executable, "-m", "e2e_slam_ros.cli", "replay", "--data", str(data)]
    subprocess.run(
        [*command, "--lockstep", "--out", str(out)], check=True, stdout=subprocess.DEVNULL
    )
    metrics: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return metrics


def main() -> None:
    """Replay and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for data in options.data:
        with tempfile.TemporaryDirectory() as folder:
            runs = [replay(data, Path(folder) / str(number)) for number in range(2)]
        first = runs[0]
        row = {
            "sequence": data.name,
            "frames": first["frames"],
            "frames_with_tf": first["trajectory"]["frames_tracked"],
            "keyframes": first["keyframes"],
            "dropped": first["dropped"],
            "surfels": first["surfels"],
            "map_fit": first["map_fit"],
            "same_map_twice": first["map_hash"] == runs[1]["map_hash"],
            "problems": first["problems"],
            "wall_s": first["wall_s"],
        }
        rows.append(row)
        print(json.dumps(row), flush=True)
    print(machine_line("cpu"))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
