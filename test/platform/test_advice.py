"""Every option that a message names exists: on the command line, as a parameter, or in ROS."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from e2e_slam_ros.cli import _parser
from e2e_slam_ros.config import parameters
from e2e_slam_ros.config.input import InputOptions, flag

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "e2e_slam_ros"
# Options of other programs that messages speak of.
FOREIGN = {
    *("--params-file", "--enclave", "--shm-size"),  # ROS, Docker
    *("--models", "--ros-args", "--log-level", "--clock"),  # Kalibr, ROS
    "--upgrade",  # pip
    *("--nproc-per-node", "--porcelain", "--untracked-files"),  # torchrun, git
}
# Words with a point that are no parameters.
WORDS = {"depth.txt", "camera.resized", "camera.undistorted"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
PARAMETER = re.compile(r"\b([a-z_]+(?:\.[a-z_0-9]+)+)\b")


def texts() -> Iterator[tuple[str, int, str]]:
    """Yield (file, line, text) of all texts that are not docstrings, with options spelled out."""
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text())
        holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        described = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, holders) and node.body and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in described:
                yield file.relative_to(REPO).as_posix(), node.lineno, node.value


def flags() -> set[str]:
    """All options of all subcommands, training tasks included."""
    found: set[str] = set()
    waiting: list[argparse.ArgumentParser] = [_parser()]
    while waiting:
        parser = waiting.pop()
        for action in parser._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                waiting.extend(action.choices.values())
    return found


def test_flags_in_messages_exist() -> None:
    known = flags() | FOREIGN
    wrong = [
        (file, line, name)
        for file, line, text in texts()
        for name in FLAG.findall(text)
        if name not in known
    ]
    assert not wrong, f"options that no command has: {wrong}"


def test_parameters_in_messages_exist() -> None:
    """Dotted names that begin like a section of the tree are its leaves."""
    known = {info.name for info in parameters()}
    sections = {name.split(".")[0] for name in known}
    parts = {name.rsplit(".", n)[0] for name in known for n in (1, 2)}
    wrong = []
    for file, line, text in texts():
        if " " not in text:
            continue  # a name used by code, not a sentence
        for name in PARAMETER.findall(text):
            is_ours = name.split(".")[0] in sections and name not in WORDS
            if is_ours and name not in known and name not in parts:
                wrong.append((file, line, name))
    assert not wrong, f"parameters that do not exist: {wrong}"


def test_every_input_option_has_one_spelling_everywhere() -> None:
    names = {item.name for item in fields(InputOptions)}
    known = flags()
    assert {flag(name) for name in names} <= known
    launch = (REPO / "launch" / "tum_replay.launch.py").read_text()
    assert "leaves(InputOptions())" in launch or all(f'"{name}"' in launch for name in names)
    pytest.importorskip("rclpy")
    from e2e_slam_ros.nodes.player_options import PlayerOptions

    assert names <= {item.name for item in fields(PlayerOptions)}


def test_the_function_that_names_options_knows_them() -> None:
    """`option` and `flag` are called with names that exist."""
    names = {item.name for item in fields(InputOptions)}
    used = set()
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_call and node.func.id in ("option", "flag") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    used.add((file.name, first.value))
    wrong = {(file, name) for file, name in used if name not in names}
    assert not wrong and len(used) > 10
