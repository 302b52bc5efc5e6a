#!/usr/bin/env python3
"""Run slam_node for long at the fastest rate it answers; watch memory, handles and threads.

    python bench/soak.py --minutes 60 --write

A small simulated RGB-D camera walks to and fro, and every frame becomes a keyframe. The next frame
is sent when the last one is answered. The map is saved and the adaptation reset now and then.
Memory, handles and threads must stop growing: the map is bounded by the part of the room that
the camera sees.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faults import PAGE, SETTINGS, Camera, machine_line, peer_in, running

BEGIN, END = "<!-- table of bench/soak.py -->\n", "<!-- end of the table of bench/soak.py -->\n"
# Between two looks at the process.
_LOOK_S = 10.0
# Frames between two calls of services.
_SERVICES = 500
# The camera's rate that "accelerated" refers to.
_CAMERA_HZ = 30.0


@dataclass(frozen=True)
class Look:
    """What the process held at one time."""

    after_s: float
    frames: int
    memory_mb: float
    handles: int
    threads: int


def look(process: int, after_s: float, frames: int) -> Look:
    """Read a process's memory, open files and threads."""
    proc = Path("/proc") / str(process)
    pages = int((proc / "statm").read_text().split()[1])
    memory_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    handles, threads = (len(list((proc / name).iterdir())) for name in ("fd", "task"))
    return Look(after_s, frames, memory_mb, handles, threads)


def soak(minutes: float, folder: Path, domain: int) -> tuple[list[Look], int, dict[str, int], int]:
    """Run; return the looks, frames without answer, what was counted and the exit code."""
    looks, unanswered, frames = [], 0, 0
    settings = SETTINGS | {"runtime.output": folder / "maps"}
    with peer_in(domain) as peer, running(folder, [("slam_node", settings)]) as (slam,):
        peer.wait_for_slam("slam_node")
        camera, began = Camera(peer), time.monotonic()
        while slam.alive and (spent := time.monotonic() - began) < 60.0 * minutes:
            unanswered += not camera.send()
            frames += 1
            if frames % _SERVICES == 0:
                for name in ("save_map", "reset_adaptation"):
                    assert peer.call(f"/slam_node/{name}").success, name
            if not looks or spent - looks[-1].after_s >= _LOOK_S:
                looks.append(look(slam.process.pid, spent, frames))
                # What the test itself keeps must not grow either: it shares the machine.
                for kept in (peer.processed, peer.maps, peer.keyframes, peer.depths):
                    del kept[:-10]
                peer.transforms.clear()
        told = peer.status["/slam_node"]
        lost = {name: int(told[name]) for name in ("lost_images", "lost_on_the_way")}
        return looks, unanswered, {**lost, **peer.problems()}, slam.end()


def slope(looks: list[Look]) -> float:
    """Return the growth of memory in the second half, MB for 10,000 frames (least squares)."""
    late = looks[len(looks) // 2 :]
    fit = np.polyfit([item.frames for item in late], [item.memory_mb for item in late], 1)
    return float(fit[0]) * 1e4


def table(
    looks: list[Look], unanswered: int, problems: dict[str, int], code: int, minutes: float
) -> str:
    """Return the part of the page that this script writes."""
    head = "| after | frames | memory | handles | threads |\n|---|---|---|---|---|\n"
    chosen = [looks[round(i * (len(looks) - 1) / 5)] for i in range(6)]
    rows = "".join(
        f"| {item.after_s:.0f} s | {item.frames:,} | {item.memory_mb:.0f} MB | {item.handles} | "
        f"{item.threads} |\n"
        for item in dict.fromkeys(chosen)
    )
    last = looks[-1]
    as_camera = last.frames / _CAMERA_HZ / 60.0
    return (
        f"{head}{rows}\nMemory grows by {slope(looks):.1f} MB for 10,000 frames in the second "
        f"half. {unanswered} frames without an answer, counted: {problems}, exit code {code}. "
        f"The frames are those of {as_camera:.0f} minutes of a camera at 30 Hz.\n\n"
        f"`python bench/soak.py --minutes {minutes:g}`. {machine_line('cpu')}. "
        f"Load {os.getloadavg()[0]:.1f}.\n"
    )


def main() -> None:
    """Run, print the table and, if wanted, put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--domain", type=int, default=int(os.environ.get("ROS_DOMAIN_ID", "77")))
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    options = parser.parse_args()
    os.environ["ROS_DOMAIN_ID"] = str(options.domain)
    with tempfile.TemporaryDirectory() as name:
        text = table(*soak(options.minutes, Path(name), options.domain), options.minutes)
    print(text)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(before + BEGIN + text + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
