from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from rich.console import Console

from e2e_slam_ros.evaluation.run.tables import print_summary, run_table


def printed(run: Any, failures: tuple[str, ...] = ()) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_summary(run.summary, (Path("/out/[run]/map.ply"),), failures, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_agreed_figure_is_printed(network_run: Any) -> None:
    text = printed(network_run)
    for words in (
        "Frames", "Keyframes mapped", "Keyframes dropped", "Surfels", "Trajectory ATE", "Device",
        "cpu", "0.1000 / 0.2", "Depth before refinement", "image_to_tf", "fuse", "p50", "p95",
    ):  # fmt: skip
        assert words in text, words
    assert "/out/[run]/map.ply" in text, "brackets are not markup"


def test_unknown_figures_are_dashes_and_problems_are_named(empty_run: Any) -> None:
    text = printed(empty_run, ("report.html was not written: disk full",))
    assert "nan" not in text.lower()
    assert "None" not in text
    assert "pose: missing (1)" in text
    assert "report.html was not written: disk full" in text


def test_figures_that_are_given_and_not_achieved_say_so(wall_run: Any) -> None:
    remarks = {row.label: str(row.cells[1]) for row in run_table(wall_run.summary).rows}
    assert "input" in remarks["Depth abs_rel / RMSE / δ<1.25"]
    assert "recording" in remarks["Trajectory ATE"]
