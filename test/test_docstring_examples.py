"""Every example in a docstring of the core runs and prints the shown result."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
PACKAGE = REPO / "e2e_slam_ros"


def modules_with_examples() -> list[str]:
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text()]
    names = [".".join(path.relative_to(REPO).with_suffix("").parts) for path in files]
    return [name for name in names if not name.startswith("e2e_slam_ros.nodes.")]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    found = sum(len(test.examples) for test in doctest.DocTestFinder().find(module))
    assert found > 0, "the module has `>>>`, but no example was found"
    assert doctest.testmod(module).failed == 0


def test_an_example_with_a_wrong_result_fails() -> None:
    example = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(example, out=lambda _: None).failed == 1
