"""`make venv` and `make test` beside a ROS 2 distribution."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
# The hooks of Humble's plugins; pytest 9 has no argument `path`.
TESTING_HOOKS = "def pytest_pycollect_makemodule(path, parent):\n    return None\n"
ROS_HOOKS = "def pytest_launch_collect_makemodule(path, parent, entrypoint):\n    return None\n"


@pytest.fixture(autouse=True)
def _tools_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "tools"))


def plugin(folder: Path, name: str, module: str, hooks: str) -> None:
    """Install a pytest plugin into a folder, as setuptools does."""
    (folder / f"{module}.py").write_text(hooks)
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[pytest11]\n{name} = {module}\n")


def collect(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # This pytest's own settings must not reach the other one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=REPO,
        env=kept | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )


def test_tests_are_found_beside_the_plugins_of_launch_testing(tmp_path: Path) -> None:
    plugin(tmp_path, "launch_testing", "their_launch_testing", TESTING_HOOKS)
    plugin(tmp_path, "launch_ros", "their_launch_ros", ROS_HOOKS)
    page = "test/evaluation/test_report.py"
    if int(pytest.__version__.split(".")[0]) >= 9:
        broken = collect(tmp_path, "-o", "addopts=--import-mode=importlib", page)
        assert broken.returncode != 0, "pytest loads them now: the settings can go"
    found = collect(tmp_path, page)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "test_report.py" in found.stdout


@pytest.mark.parametrize(("distribution", "pinned"), [("jazzy", True), ("", False)])
def test_an_older_pytest_is_installed_beside_ros(
    distribution, pinned, monkeypatch, tmp_path
) -> None:
    import make_venv

    asked: list[str] = []
    monkeypatch.setenv("ROS_DISTRO", distribution)
    monkeypatch.setattr(make_venv, "pip_install", lambda options, what: asked.extend(what))
    make_venv.install_requirements(make_venv.Options(tmp_path, "", "jazzy"))
    assert ("pytest<8.4" in asked) is pinned


def test_the_numpy_of_the_distribution_is_kept_where_it_suffices() -> None:
    from make_venv import numpy_beside_ros

    assert numpy_beside_ros("1.26.4") == "numpy==1.26.4"
    assert numpy_beside_ros("1.21.5") == "numpy<2", "Humble's is older than what we need"
