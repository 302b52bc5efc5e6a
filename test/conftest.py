"""What every test may use: real data, a ROS domain of its own, one thread, fixed random seeds."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

# Before NumPy and torch start their threads: tests are small, and sums keep one order.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# rclpy then refuses a value of the wrong type; else an int in a float field leaves as garbage.
os.environ.setdefault("ROS_PYTHON_CHECK_FIELDS", "1")
# Nodes save their maps there if they are told nothing else.
os.environ["ROS_HOME"] = tempfile.mkdtemp(prefix="e2e_slam_ros_home_")
atexit.register(shutil.rmtree, os.environ["ROS_HOME"], ignore_errors=True)

import hypothesis
import pytest
import torch

REPO = Path(__file__).resolve().parent.parent
SHARED_DATA = REPO.parent / "shared" / "data"

# Domains above 101 lead to ports that Linux hands out to anyone; 0 is everybody's default.
LAST_DOMAIN = 101
# DDS: 7400 + 250 per domain, + 10 for the first participant.
FIRST_PORT, PORTS_PER_DOMAIN, PARTICIPANT_PORT = 7400, 250, 10

torch.set_num_threads(1)
# The same examples each time: a failure in CI is a failure here. No deadline: machines differ.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.load_profile("repeatable")


def pytest_report_header() -> str:
    """Name what a failure may depend on."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"
    ros = "rclpy" if find_spec("rclpy") else "no rclpy"
    return f"torch {torch.__version__}, {device}, {ros}, shared data: {SHARED_DATA.is_dir()}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked `gpu` where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with the real recordings (`tum/`, `hololens/`)."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real recordings are not here: no folder {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture
def ros_domain(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A ROS domain that nobody on this machine uses, set in the environment for this test."""
    if find_spec("rclpy") is None:
        pytest.skip("rclpy is not installed")
    for offset in range(LAST_DOMAIN):
        domain = 1 + (os.getpid() * 7 + offset) % LAST_DOMAIN
        lock = _lock_domain(domain)
        if lock is None:
            continue
        try:
            monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
            monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            yield domain
        finally:
            os.close(lock)
        return
    pytest.skip(f"all ROS domains from 1 to {LAST_DOMAIN} are in use")


def _lock_domain(domain: int) -> int | None:
    """File descriptor that holds `domain` for this process, or None when it is taken."""
    path = Path(tempfile.gettempdir()) / f"e2e_slam_ros_domain_{domain}.lock"
    try:
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except PermissionError:  # another user's
        return None
    try:
        # Other test processes hold the lock; any other ROS node holds the port.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("", FIRST_PORT + PORTS_PER_DOMAIN * domain + PARTICIPANT_PORT))
    except OSError:
        os.close(lock)
        return None
    return lock
