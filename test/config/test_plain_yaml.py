"""Texts of YAML that would run for minutes, or need gigabytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e_slam_ros.config import Config
from e2e_slam_ros.config.errors import ConfigError, DataError
from e2e_slam_ros.data.calibration import read_calibration


def bomb(levels: int = 30) -> str:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        lines.append(f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]")
    return "\n".join(lines)


def mappings(levels: int = 30) -> str:
    lines = ["l0: &l0 {a: 1, b: 2}"]
    for level in range(1, levels):
        lines.append(f"l{level}: &l{level} {{a: *l{level - 1}, b: *l{level - 1}}}")
    return "\n".join(lines)


@pytest.mark.parametrize("text", [bomb(), mappings(), "[" * 5000, "{a: " * 5000])
def test_a_parameter_file_that_explodes_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected YAML"):
        Config.from_yaml(text)
    with pytest.raises(ConfigError):
        Config().with_assignments([f"runtime.output={text}"])


@pytest.mark.parametrize("text", [bomb(), mappings(), "[" * 5000])
def test_a_calibration_that_explodes_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match="expected YAML"):
        read_calibration(path)
