"""Pages of examples and symptoms: what they name of ours exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from e2e_slam_ros.config import parameters

REPO = Path(__file__).resolve().parents[2]
PAGES = sorted((REPO / "examples").glob("*.md"))
SYMPTOMS = REPO / "docs" / "troubleshooting.md"
TOPICS = (REPO / "docs" / "ros.md").read_text()
# Beside the tree of configuration: arguments of launch files and of other packages.
GROUPS = {info.name.partition(".")[0] for info in parameters()}


def commands(page: Path) -> list[str]:
    """The lines of the page's code blocks, continued lines joined."""
    blocks = re.findall(r"^```\n(.*?)^```", page.read_text(), re.M | re.S)
    return "".join(blocks).replace("\\\n", " ").splitlines()


def declared(file: str) -> set[str]:
    """Names in a launch file; arguments that all files have are in launching.py."""
    texts = [REPO / "launch" / file, REPO / "e2e_slam_ros" / "nodes" / "launching.py"]
    return {name for text in texts for name in re.findall(r'"(\w+)"', text.read_text())}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_launch_arguments_exist(page: Path) -> None:
    for line in commands(page):
        if found := re.search(r"ros2 launch e2e_slam_ros (\S+)(.*)", line):
            file, rest = found.groups()
            given = set(re.findall(r"(\w+):=", rest))
            assert given <= declared(file), given - declared(file)


def test_parameters_exist() -> None:
    known = {info.name for info in parameters()}
    for page in [*PAGES, SYMPTOMS]:
        for name in re.findall(rf"`((?:{'|'.join(GROUPS)})\.\w+(?:\.\w+)*)", page.read_text()):
            file = name.endswith((".py", ".md", ".yaml"))
            assert file or name in known, f"{page.name}: {name}"


def test_topics_of_ours_are_those_that_there_are() -> None:
    for page in PAGES:
        for name in re.findall(r"(?<![\w/.])(keyframe/\w+)", page.read_text()):
            parts = (f"`{name}`", f"`{name.partition('/')[2]}`")
            assert any(part in TOPICS for part in parts) or name == "keyframe/points", name


def test_yaml_on_pages_is_yaml() -> None:
    for page in PAGES:
        for block in re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S):
            assert isinstance(yaml.safe_load(block), dict), page.name


def test_every_kind_of_problem_has_a_symptom() -> None:
    table = TOPICS[TOPICS.index("## What diagnostics count") :]
    table = table[: table.index("\n## ", 5)]
    rows = re.findall(r"^\| (`[^|]*`) \|", table, re.M)
    kinds = {kind for row in rows for kind in re.findall(r"`(\w+)`", row)}
    assert len(kinds) > 20
    page = SYMPTOMS.read_text()
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()


def test_the_citation_is_of_this_version() -> None:
    import e2e_slam_ros

    citation = yaml.safe_load((REPO / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert str(citation["version"]) == e2e_slam_ros.__version__
    assert citation["license"] == "Apache-2.0"
    for field in ("title", "message", "authors"):
        assert citation[field]
