"""The table of docs/reliability.md is the one that bench/faults.py writes."""

from __future__ import annotations

import argparse
import importlib.util
import random
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def faults() -> Any:
    spec = importlib.util.spec_from_file_location("faults", REPO / "bench" / "faults.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    # dataclasses look their module up.
    sys.modules["faults"] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_with_its_command(faults: Any) -> None:
    page = faults.PAGE.read_text()
    table = page.partition(faults.BEGIN)[2].partition(faults.END)[0]
    assert re.search(r"`python bench/faults\.py --times \d+ --messages \d+ --seed \d+`", table)
    for what in ("SIGKILL", "SIGINT", "SIGTERM", "disk full", "read-only", "stamps", "damaged"):
        assert what in table, what
    for stage in faults.STAGES:
        assert f"`{stage}`" in table
    assert "could not be tried" not in table


def test_a_row_says_the_worst_and_what_failed(faults: Any) -> None:
    outcome = faults.Outcome("a kill", 3, [0, 2, 1], [3.0, 1.0, 2.0], [], "4 allowed")
    assert outcome.row() == "| a kill | 3 | 2 of 4 allowed | 2.0 s | 0 |"
    outcome = faults.Outcome("a kill", 1, failures=["exit code 1", "exit code 1"])
    assert outcome.row() == "| a kill | 1 | - | - | 2: exit code 1 |"


def test_a_run_of_some_faults_changes_their_rows_alone(faults: Any) -> None:
    old = "| fault | times |\n|---|---|\n| stamps jump | 5 |\n| damaged messages | 9 |\n\n`a`.\n"
    options = argparse.Namespace(times=1, messages=7, seed=1, only=["messages"])
    text = faults.merged(old, [faults.Outcome("damaged messages", 7)], options)
    assert "| stamps jump | 5 |" in text and "| damaged messages | 7 | - | - | 0 |" in text
    assert "messages | 9" not in text and "`a`.\n" in text
    assert "`python bench/faults.py --times 1 --messages 7 --seed 1 --only messages`" in text


def test_damaged_messages_are_damaged_and_repeatable(faults: Any) -> None:
    message = bytes(range(256)) * 4

    def some() -> list[bytes]:
        dice = random.Random(2)
        return [faults._damaged(message, dice) for _ in range(50)]

    assert some() == some()
    assert sum(item != message for item in some()) > 45
    assert all(len(item) >= 5 for item in some())
