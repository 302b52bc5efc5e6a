"""One name, one thing: classes of the package, and the names of depth sources."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from e2e_slam_ros.config import parameters

REPO = Path(__file__).resolve().parents[2]
PACKAGE = REPO / "e2e_slam_ros"

# Class names in use twice. May only shrink: an entry that is not needed any more is an error.
SHARED_NAMES: set[str] = set()
# File -> how often it compares a depth source's name. May only shrink, as above.
COMPARED_SOURCES: dict[str, int] = {}
# The module that defines it may know the sources by name: choosing one is its task.
FACTORY = "build_depth_source"


def modules() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(PACKAGE.rglob("*.py")):
        yield file.relative_to(PACKAGE).as_posix(), ast.parse(file.read_text())


def public_classes(tree: ast.Module) -> list[str]:
    classes = (node.name for node in tree.body if isinstance(node, ast.ClassDef))
    return [name for name in classes if not name.startswith("_")]


def names_of_sources() -> set[str]:
    (info,) = [info for info in parameters() if info.name == "depth.source"]
    return {str(choice) for choice in info.choices}


def compared_sources(tree: ast.Module, names: set[str]) -> list[int]:
    """Return the line of each comparison with a depth source's name.

    "network" is also a strategy of refinement: comparisons with a strategy do not count.
    """
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            # "network" in a mapping asks for a key, not for the name of a source.
            key = isinstance(node.left, ast.Constant) and isinstance(node.ops[0], ast.In)
            sides = [] if key else [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            cases = [case.pattern for case in node.cases]
            values = [p.value for p in cases if isinstance(p, ast.MatchValue)]
            sides = [node.subject, *values] if values else []
        else:
            continue
        texts = {text for side in sides for text in constants(side)}
        others = [ast.unparse(side) for side in sides if not list(constants(side))]
        if texts & names and not any(other.endswith("strategy") for other in others):
            lines.append(node.lineno)
    return lines


def constants(node: ast.expr) -> Iterator[str]:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    for part in parts:
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def test_no_two_public_classes_share_a_name() -> None:
    places: Mapping[str, list[str]] = defaultdict(list)
    for name, tree in modules():
        for found in public_classes(tree):
            places[found].append(name)
    shared = {found: files for found, files in places.items() if len(files) > 1}
    more = {found: files for found, files in shared.items() if found not in SHARED_NAMES}
    assert not more, f"rename all but one: {more}"
    settled = SHARED_NAMES - set(shared)
    assert not settled, f"no longer shared, take out of SHARED_NAMES: {settled}"


def test_depth_sources_are_compared_by_name_in_their_factory_alone() -> None:
    found: Counter[str] = Counter()
    where: list[str] = []
    names = names_of_sources()
    for name, tree in modules():
        if any(isinstance(node, ast.FunctionDef) and node.name == FACTORY for node in tree.body):
            continue
        lines = compared_sources(tree, names)
        found[name] += len(lines)
        where += [f"{name}:{line}" for line in lines]
    allowed = Counter(COMPARED_SOURCES)
    assert not found - allowed, f"ask the source itself (its traits) instead: {where}"
    assert not allowed - found, f"lower COMPARED_SOURCES by: {dict(allowed - found)}"


def test_the_factory_is_where_it_is_looked_for() -> None:
    nodes = [node for _, tree in modules() for node in tree.body]
    functions = [node.name for node in nodes if isinstance(node, ast.FunctionDef)]
    assert functions.count(FACTORY) == 1


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ('config.depth.source == "sensor"', 1),
        ('"motion_stereo" != source.name', 1),
        ('source.name in ("network", "sensor")', 1),
        ('kind not in {"sensor"}', 1),
        ('match source.name:\n    case "sensor":\n        pass', 1),
        ('config.strategy == "network"', 0),
        ('config.refine.scale.source == "motion"', 0),
        ('build("sensor")', 0),
        ('"network" in refiners', 0),
        ('pose.source == "tf"', 0),
    ],
)
def test_what_counts_as_comparing(code: str, count: int) -> None:
    assert len(compared_sources(ast.parse(code), {"sensor", "motion_stereo", "network"})) == count


def test_private_and_nested_classes_do_not_count() -> None:
    code = "class A:\n    class B: pass\nclass _C: pass\ndef f():\n    class D: pass\n"
    assert public_classes(ast.parse(code)) == ["A"]
