"""`e2e-slam parameters`."""

from __future__ import annotations

import pytest
import yaml

from e2e_slam_ros.cli import main
from e2e_slam_ros.commands.parameters import markdown_table
from e2e_slam_ros.config import Config, parameters


def test_parameters_are_printed_as_a_file_that_can_be_read_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["parameters", "--yaml"]) == 0
    text = capsys.readouterr().out
    assert Config.from_yaml(text) == Config()
    assert "/**" in yaml.safe_load(text)
    assert main(["parameters"]) == 0
    assert capsys.readouterr().out == text


def test_the_parameter_table_has_every_parameter_in_five_cells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["parameters", "--markdown"]) == 0
    text = capsys.readouterr().out
    assert text == markdown_table()
    head, rule, *rows = text.splitlines()
    assert len(rows) == len(parameters())
    for row, info in zip(rows, parameters(), strict=True):
        assert row.startswith(f"| `{info.name}` |")
        assert row.replace("\\|", "").count("|") == head.count("|") == rule.count("|") == 6
        assert row.split(" | ")[3] == ("yes" if info.live else "")
