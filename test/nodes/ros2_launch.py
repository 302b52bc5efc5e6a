"""`ros2 launch` as people call it: in a session of its own, with its output in a file."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodes.ros_peer import wait_for


def installed_share() -> Path:
    """The installed package's share folder; skips the test where there is none."""
    from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

    try:
        return Path(get_package_share_directory("e2e_slam_ros"))
    except PackageNotFoundError:
        pytest.skip("e2e_slam_ros is not built and sourced: colcon build, then install/setup.sh")


def hear_ctrl_c() -> None:
    """Undo what a shell does to what it runs in the background: SIGINT is ignored there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Launch:
    """A running `ros2 launch` of one of our files by its name, or of another by its path."""

    def __init__(self, file: str | Path, arguments: dict[str, object], log: Path) -> None:
        installed_share()
        if shutil.which("ros2") is None:
            pytest.skip("the command ros2 is not on PATH")
        self.log = log
        given = [f"{name}:={value}" for name, value in arguments.items()]
        ours = ["e2e_slam_ros", f"{file}.launch.py"]
        command = ["ros2", "launch", *([str(file)] if isinstance(file, Path) else ours), *given]
        environment = os.environ | {"ROS_LOG_DIR": str(log.parent / "ros_log")}
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
                env=environment,
                start_new_session=True,
                preexec_fn=hear_ctrl_c,
            )

    @property
    def output(self) -> str:
        """What it and its nodes printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout_s: float = 90.0) -> int:
        """Wait for its end; return the exit code."""
        return self.process.wait(timeout_s)

    def interrupt(self) -> int:
        """Press Ctrl-C: every process of the terminal gets SIGINT."""
        for process in self.alive():
            os.kill(process, signal.SIGINT)
        return self.wait()

    def alive(self) -> list[int]:
        """Processes of its session that still run."""
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # ended meanwhile
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(folder.name))
        return found

    def kill(self) -> None:
        """End what is left of it."""
        for process in self.alive():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(10.0)


@contextmanager
def launched(file: str | Path, arguments: dict[str, object], tmp_path: Path) -> Iterator[Launch]:
    """Run a launch file; show what it printed after a failure, and leave nothing behind."""
    launch = Launch(file, arguments, tmp_path / f"{Path(file).stem}.log")
    try:
        yield launch
    except BaseException:
        print(f"--- {file}\n{launch.output}", file=sys.stderr)
        raise
    finally:
        launch.kill()


def process_of(launch: Launch, node: str) -> int:
    """The newest process of a node."""
    found = re.findall(rf"\[{node}-\d\]: process started with pid \[(\d+)\]", launch.output)
    assert found, launch.output
    return int(found[-1])


def wait_until_gone(launch: Launch) -> None:
    """Wait until no process of it is left."""
    wait_for(lambda: not launch.alive(), lambda: f"the end of {launch.alive()}", 20.0)
