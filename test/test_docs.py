"""Generated pages are what the code says, and links lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from e2e_slam_ros.commands.parameters import markdown_table

REPO = Path(__file__).parent.parent
PAGES = [
    page for folder in (".", "docs", "examples") for page in sorted((REPO / folder).glob("*.md"))
]
PARTS = [path.parent.name for path in (REPO / "e2e_slam_ros").glob("*/__init__.py")]
FOLDERS = "|".join(["bench", "examples", "launch", "e2e_slam_ros", "test", *PARTS])


def test_the_parameter_page_is_generated() -> None:
    page = (REPO / "docs" / "parameters.md").read_text()
    assert markdown_table().strip() in page, "run: make docs"


def test_the_tables_of_inputs_are_generated_and_their_tests_exist() -> None:
    inputs = runpy.run_path(str(REPO / "tools" / "generate_docs.py"))["inputs_page"]
    page = (REPO / "docs" / "inputs.md").read_text()
    assert inputs(page) == page, "run: make docs"
    for row in runpy.run_path(str(REPO / "test" / "inputs_table.py"))["ROWS"]:
        for cell in (row.bags, row.folders, row.live):
            if cell != "-":
                file, _, name = cell.partition("::")
                assert f"def {name}(" in (REPO / file).read_text(), cell


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(rf"`((?:{FOLDERS})/[\w/.]+\.(?:py|yaml|rviz))", page.read_text()):
        places = (REPO / name, REPO / "e2e_slam_ros" / name)
        assert any(place.exists() for place in places), name
