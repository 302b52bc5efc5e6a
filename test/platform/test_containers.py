"""Containers and workflows: what they name exists. Docker and GitHub are not here to run them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parents[2]
DOCKERFILE = REPO / "docker" / "Dockerfile"
COMPOSE = REPO / "docker" / "compose.yaml"
WORKFLOWS = sorted((REPO / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted((REPO / "docker").glob("*.sh"))
ENTRYPOINT_ROOT = "/ws/src/e2e_slam_ros/"


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with its arguments, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line[:1] != "#"]
    text = "\n".join(lines).replace("\\\n", " ")
    pairs = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(name, rest) for name, rest in pairs]


def stages() -> set[str]:
    return {rest.split()[-1] for name, rest in instructions() if name == "FROM"}


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job["steps"]


def make_targets() -> set[str]:
    return set(re.findall(r"^(\w+):", (REPO / "Makefile").read_text(), re.M))


def launch_arguments(file: str) -> set[str]:
    """Names in a launch file's text, and those of all files: launch may not be installed."""
    files = [REPO / "launch" / file, REPO / "e2e_slam_ros" / "nodes" / "launching.py"]
    return {name for text in files for name in re.findall(r'"(\w+)"', text.read_text())}


def test_every_instruction_is_one_of_docker() -> None:
    known = {"FROM", "SHELL", "ENV", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}
    assert {name for name, _ in instructions()} <= known
    assert {"cpu", "cuda"} <= stages()


def test_stages_build_on_stages() -> None:
    seen: set[str] = set()
    for name, rest in instructions():
        if name == "FROM":
            image, _, stage = rest.partition(" AS ")
            assert image in seen or image == "ros:jazzy-ros-base", image
            seen.add(stage)


def test_what_is_copied_or_run_exists() -> None:
    ignored = (REPO / ".dockerignore").read_text().split()
    for name, rest in instructions():
        if name == "COPY":
            *sources, _ = rest.split()
            assert all((REPO / source).exists() and source not in ignored for source in sources)
        if name in ("RUN", "ENTRYPOINT"):
            for path in re.findall(rf"(?:{ENTRYPOINT_ROOT})?(docker/[\w.]+)", rest):
                assert (REPO / path).stat().st_mode & 0o111, f"{path} is not executable"
            for path in re.findall(r"-r (requirements[\w.-]*)", rest):
                assert (REPO / path).is_file(), path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_parse(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_compose_names_what_exists() -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    assert set(compose["services"]) == {"robot", "computer"}
    for name, service in compose["services"].items():
        build = service["build"]
        context = (COMPOSE.parent / build["context"]).resolve()
        assert (context / build["dockerfile"]).is_file() and build["target"] in stages()
        assert service["profiles"] == [name]
        assert service["network_mode"] == service["ipc"] == "host", "merged from the common part"
        start = service["command"]
        assert start[:3] == ["ros2", "launch", "e2e_slam_ros"]
        given = {argument.partition(":=")[0] for argument in start[4:]}
        assert given <= launch_arguments(start[3]), name
        assert f"where:={name}" in start
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in compose["volumes"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_workflows_run_what_exists(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    assert content["name"] == workflow.stem
    # YAML 1.1 takes the key `on` for true.
    assert content[True] == ["push", "pull_request"]
    assert content["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        assert set(step) <= {"name", "uses", "with", "run"}
        command = step.get("run", "")
        assert set(re.findall(r"\bmake (\w+)", command)) <= make_targets()
        for name in re.findall(r"\bmatrix\.(\w+)", command):
            (job,) = content["jobs"].values()
            assert name in job["strategy"]["matrix"]
        script = re.sub(r"\$\{\{.*?\}\}", "x", command)
        subprocess.run(["bash", "-n", "-c", script], check=True)


def test_every_distribution_is_built() -> None:
    content = yaml.safe_load((REPO / ".github" / "workflows" / "colcon.yml").read_text())
    matrix = content["jobs"]["colcon"]["strategy"]["matrix"]
    assert matrix["distribution"] == ["humble", "jazzy", "kilted"]
    assert {workflow.stem for workflow in WORKFLOWS} == {"lint", "test", "colcon"}
