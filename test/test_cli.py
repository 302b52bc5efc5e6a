"""The command line itself; each command has its tests in test/commands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from e2e_slam_ros import __version__
from e2e_slam_ros.cli import main
from e2e_slam_ros.commands import parameters


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["replay"],
        ["replay", "--demo", "--data", "x"],
        ["fly"],
        ["replay", "--data", "x", "--rate", "fast"],
        ["make-scene"],
        ["parameters", "--yaml", "--markdown"],
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(argv)
    assert end.value.code == 2


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"e2e-slam {__version__}\n"


def test_the_command_does_not_import_ros_unless_it_plays() -> None:
    code = (
        "import sys; sys.modules['rclpy'] = None\n"
        "from e2e_slam_ros.cli import main\n"
        "assert main(['parameters', '--markdown']) == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "keyframe.parallax" in done.stdout


def test_sigterm_ends_a_command_like_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def until_told(*_: object) -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5.0)
        return 0

    def own(*_: object) -> None:
        """Keeps the test alive should the command not care."""

    monkeypatch.setattr(parameters, "run", until_told)
    before = signal.signal(signal.SIGTERM, own)
    try:
        assert main(["parameters"]) == 130
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "interrupted" in capsys.readouterr().err
