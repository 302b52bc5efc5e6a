"""Examples in docstrings of the ROS-free core run and give what they say.

Only modules that hold an example are imported, so the check costs no more than its examples.
Run this file as a script to write the list of classes without an example again.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "e2e_slam_ros"
# Names of classes that have no example yet. May only become shorter.
ALLOWANCE = Path(__file__).with_name("classes_without_example.txt")
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
# An error or a protocol is shown by what raises it and by what fulfils it.
EXEMPT_BASES = ("Error", "Exception", "Protocol")


def core_files() -> Iterator[Path]:
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.relative_to(PACKAGE).parts[0] not in ("nodes", "commands"):
            yield file


def module_name(file: Path) -> str:
    parts = file.relative_to(REPO).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_with_examples() -> list[str]:
    return [module_name(file) for file in core_files() if ">>> " in file.read_text()]


def failures(module: ModuleType) -> tuple[list[str], int]:
    """Return what each failing example of a module printed, and how many examples ran."""
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for found in doctest.DocTestFinder(exclude_empty=True).find(module, module.__name__):
        runner.run(found, out=said.append)
    return said, runner.tries


def classes_without_example(tree: ast.Module) -> list[str]:
    """Return the public classes with no example in their docstring or in a method's."""
    names = []
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
            continue
        if any(ast.unparse(base).endswith(EXEMPT_BASES) for base in node.bases):
            continue
        methods = (part for part in node.body if isinstance(part, ast.FunctionDef))
        texts = [ast.get_docstring(part) or "" for part in (node, *methods)]
        if not any(">>> " in text for text in texts):
            names.append(node.name)
    return names


def without_example() -> set[str]:
    trees = (ast.parse(file.read_text()) for file in core_files())
    return {name for tree in trees for name in classes_without_example(tree)}


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_say(name: str) -> None:
    module = importlib.import_module(name)
    said, ran = failures(module)
    assert not said, "\n".join(said)
    # An example in a comment, or in the docstring of a nested function, would never run.
    assert module.__file__ is not None
    assert ran == Path(module.__file__).read_text().count(">>> ")


@pytest.mark.parametrize(("result", "count"), [("2", 0), ("3", 1)])
def test_a_wrong_example_is_found(tmp_path: Path, result: str, count: int) -> None:
    file = tmp_path / "sample.py"
    file.write_text(
        f'def one():\n    """One.\n\n    >>> one() + 1\n    {result}\n    """\n    return 1\n'
    )
    spec = importlib.util.spec_from_file_location("sample", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    said, ran = failures(module)
    assert len(said) == count and ran == 1


def test_every_public_class_of_the_core_has_an_example_or_waits_for_one() -> None:
    allowed, found = set(ALLOWANCE.read_text().split()), without_example()
    assert not found - allowed, f"give these an example in their docstring: {found - allowed}"
    assert not allowed - found, f"take these out of {ALLOWANCE.name}: {allowed - found}"


def test_which_classes_need_an_example() -> None:
    code = '''
class Shown:
    """With.

    >>> 1
    1
    """
class ShownByMethod:
    """Without."""
    def call(self):
        """Call.

        >>> 1
        1
        """
class Bare: pass
class _Private: pass
class OwnError(ValueError): pass
class Shape(typing.Protocol): pass
'''
    assert classes_without_example(ast.parse(code)) == ["Bare"]


if __name__ == "__main__":
    ALLOWANCE.write_text("".join(f"{name}\n" for name in sorted(without_example())))
