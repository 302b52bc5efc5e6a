"""The tools behind `make venv` and `.ci/run`, without installing anything."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
TOOLS = REPO / "tools"


@pytest.fixture(autouse=True)
def _tools_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))


def test_missing_system_library_names_its_package():
    from machine_checks import advice

    error = "ImportError: libusb-1.0.so.0: cannot open shared object file: No such file"
    text = advice(error, [])
    assert error in text
    assert "sudo apt-get install libusb-1.0-0" in text


def test_unknown_system_library_is_named():
    from machine_checks import advice

    text = advice("ImportError: libodd.so.3: cannot open shared object file", [])
    assert "libodd.so.3" in text
    assert "apt-get" not in text


@pytest.fixture
def broken_python(tmp_path):
    """An interpreter that cannot import anything, for want of a system library."""
    program = tmp_path / "bin" / "python"
    program.parent.mkdir()
    message = "ImportError: libGL.so.1: cannot open shared object file"
    program.write_text(f"#!/bin/sh\necho '{message}' >&2\nexit 1\n")
    program.chmod(0o755)
    return program


def test_missing_open3d_only_warns(broken_python, capsys):
    from machine_checks import check_open3d

    check_open3d(broken_python)
    text = capsys.readouterr().out
    assert "WARNING: Open3D" in text
    assert "sudo apt-get install libgl1" in text


def test_missing_required_package_stops(broken_python):
    from machine_checks import check_imports
    from run_logged import StepFailed

    with pytest.raises(StepFailed, match=r"(?s)import numpy.*libgl1"):
        check_imports(broken_python)


def test_failing_command_shows_the_end_of_its_output(tmp_path):
    from run_logged import StepFailed, run_logged

    log = tmp_path / "log"
    command = [sys.executable, "-c", "import sys; print('the reason'); sys.exit(3)"]
    with pytest.raises(StepFailed, match=r"(?s)ended with 3.*the reason.*log"):
        run_logged(command, log)
    run_logged([sys.executable, "-c", "print('fine')"], log)
    assert "fine" in log.read_text()


def test_exports_point_at_this_machine(tmp_path, monkeypatch):
    import generate_messages

    include = tmp_path / "include"
    include.mkdir()
    (include / "Python.h").touch()
    monkeypatch.setattr(
        generate_messages.subprocess, "check_output", lambda *_, **__: f"{include}\n/np/include\n"
    )
    export = tmp_path / "share" / "any_msgs" / "cmake" / "anyExport.cmake"
    export.parent.mkdir(parents=True)
    export.write_text(
        'set(X "/opt/python/cp311-cp311/include/python3.11;'
        '/opt/python/cp311-cp311/lib/python3.11/site-packages/numpy/_core/include;/usr/include")'
    )
    assert generate_messages.patch_exports(tmp_path) == 1
    assert export.read_text() == f'set(X "{include};/np/include;/usr/include")'
    assert generate_messages.patch_exports(tmp_path) == 0


def test_missing_python_headers_are_named(tmp_path, monkeypatch):
    import generate_messages
    from run_logged import StepFailed

    monkeypatch.setattr(
        generate_messages.subprocess, "check_output", lambda *_, **__: f"{tmp_path}\n/np\n"
    )
    with pytest.raises(StepFailed, match="python3-dev"):
        generate_messages.patch_exports(tmp_path)


class Build:
    """`make_venv.build` with recorded steps instead of real ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import make_venv

        self.module = make_venv
        self.options = make_venv.Options(folder, "torch", "jazzy")
        self.options.python.parent.mkdir(parents=True)
        self.options.python.touch()
        self.inputs = {"a": "1", "b": "1", "c": "1"}
        self.ran: list[str] = []
        self.failing = ""
        monkeypatch.setattr(make_venv, "steps", lambda _: [self.step(n) for n in self.inputs])
        for check in ("check_build_tools", "check_imports", "check_open3d"):
            monkeypatch.setattr(make_venv, check, lambda *_, **__: None)

    def step(self, name):
        def action():
            self.ran.append(name)
            if name == self.failing:
                raise self.module.StepFailed(name)

        return self.module.Step(name, self.inputs[name], action)

    def __call__(self) -> list[str]:
        """Names of the steps that ran."""
        self.ran = []
        self.module.build(self.options)
        return self.ran


@pytest.fixture
def build(tmp_path, monkeypatch):
    return Build(tmp_path / "venv", monkeypatch)


def test_second_build_does_nothing(build):
    assert build() == ["a", "b", "c"]
    assert build() == []


def test_interrupted_build_goes_on_where_it_stopped(build):
    build.failing = "b"
    with pytest.raises(build.module.StepFailed):
        build()
    assert not (build.options.venv / ".ready").exists()
    build.failing = ""
    assert build() == ["b", "c"]


def test_only_what_changed_is_done_again(build):
    build()
    build.inputs["b"] = "2"
    assert build() == ["b"]


def test_a_new_venv_needs_everything_again(build):
    build()
    build.inputs["a"] = "2"
    assert build() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("distribution", "module", "core"), [("jazzy", True, False), ("kilted", False, True)]
)
def test_wheels_of_each_distribution(tmp_path, distribution, module, core):
    from make_venv import Options, ros_requirements

    wheels = ros_requirements(Options(tmp_path, "torch", distribution))
    assert f"ros-{distribution}-rmw-fastrtps-cpp" in wheels
    assert (f"ros-{distribution}-python-cmake-module" in wheels) is module
    assert (f"ros-{distribution}-ament-cmake-ros-core" in wheels) is core


def test_a_distribution_keeps_its_own_opencv():
    from make_venv import product_requirements

    ours = product_requirements(system_ros=False)
    theirs = product_requirements(system_ros=True)
    assert [line for line in ours if line not in theirs] == ["opencv-python-headless>=4.5.4"]
    assert "numpy>=1.26" in theirs and not any("#" in line for line in ours)


def test_digest_sees_contents(tmp_path):
    from make_venv import digest

    (tmp_path / "one").write_text("1")
    before = digest(tmp_path)
    assert digest(tmp_path) == before
    (tmp_path / "one").write_text("2")
    assert digest(tmp_path) != before


@pytest.fixture
def run_folder(tmp_path):
    metrics = {
        "frames": 2,
        "keyframes": 1,
        "dropped": 0,
        "surfels": 3,
        "device": "cpu",
        "wall_s": 1.0,
        "depth": {"abs_rel": None, "rmse": None, "delta_1": None},
        "depth_unrefined": {"abs_rel": None, "rmse": None, "delta_1": None},
        "trajectory": {"ate_rmse_m": 0.0, "frames_tracked": 2},
        "latency_ms": {"fuse": {"p50": 1.0, "p95": 2.0}},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    header = b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nend_header\n"
    (tmp_path / "map.ply").write_bytes(header + bytes(9))
    (tmp_path / "trajectory.txt").write_text("# t\n1.0 0 0 0 0 0 0 1\n2.0 0 0 0 0 0 0 1\n")
    (tmp_path / "config.yaml").write_text("/**:\n  ros__parameters:\n    rate: 3\n")
    (tmp_path / "report.html").write_text('<html><img src="data:image/png;base64,AA"></html>')
    return tmp_path


def test_a_good_run_passes(run_folder):
    from check_run import check_run

    assert check_run(run_folder) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.json", "{}"),
        ("metrics.json", "{broken"),
        ("metrics.json", '{"frames": NaN}'),
        ("map.ply", "ply\nelement vertex 0\nend_header\n"),
        ("trajectory.txt", ""),
        ("trajectory.txt", "1.0 0 0\n"),
        ("trajectory.txt", "2.0 0 0 0 0 0 0 1\n1.0 0 0 0 0 0 0 1\n"),
        ("config.yaml", ""),
        ("report.html", "<html></html>"),
        ("report.html", '<html><img src="data:image/a"><img src="a.png"></html>'),
    ],
)
def test_a_bad_file_is_named(run_folder, name, content):
    from check_run import check_run

    (run_folder / name).write_text(content)
    complaints = check_run(run_folder)
    assert len(complaints) == 1
    assert name in complaints[0]


def test_a_missing_file_is_named(run_folder):
    from check_run import check_run

    (run_folder / "map.ply").unlink()
    assert ["map.ply" in line for line in check_run(run_folder)] == [True]
