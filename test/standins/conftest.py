"""Each test here runs against our stand-in and against the real package where there is one."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import pytest

STANDINS = Path(__file__).resolve().parents[2] / "standins"

Load = Callable[[str], ModuleType]


@contextmanager
def _search_path(package: str, path: list[str]) -> Iterator[None]:
    """Import `package` afresh from `path`, and leave everything as it was."""

    def ours() -> list[str]:
        return [name for name in sys.modules if name.split(".")[0] == package]

    saved_path, saved_modules = sys.path, {name: sys.modules.pop(name) for name in ours()}
    sys.path = path
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for name in ours():
            del sys.modules[name]
        sys.modules.update(saved_modules)
        sys.path = saved_path


def _real_is_installed(package: str) -> bool:
    elsewhere = [entry for entry in sys.path if STANDINS not in Path(entry).parents]
    return PathFinder.find_spec(package, elsewhere) is not None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of a module against the stand-in, and against the real `PACKAGE` if any."""
    if "load" in metafunc.fixturenames:
        real = ["real"] if _real_is_installed(metafunc.module.PACKAGE) else []
        metafunc.parametrize("load", ["stand-in", *real], indirect=True)


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Iterator[Load]:
    """`load("sensor_msgs_py.point_cloud2")` imports one of the two; they are never mixed."""
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    contexts = []

    def load_module(name: str) -> ModuleType:
        package = name.split(".")[0]
        elsewhere = [entry for entry in sys.path if STANDINS not in Path(entry).parents]
        standin = [str(STANDINS / package), *elsewhere]
        context = _search_path(package, standin if request.param == "stand-in" else elsewhere)
        context.__enter__()
        contexts.append(context)
        return importlib.import_module(name)

    yield load_module
    for context in reversed(contexts):
        context.__exit__(None, None, None)


@pytest.fixture
def node(ros_domain: int) -> Iterator[object]:
    """A node in a context and a domain of its own."""
    import rclpy

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=ros_domain)
    node = rclpy.create_node("stand_in_test", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.fixture
def spin_until(node) -> Callable[[Callable[[], object]], None]:
    """`spin_until(condition)` lets callbacks run until the condition holds; 10 s at most."""
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline, "nothing arrived in 10 s"
            executor.spin_once(timeout_sec=0.05)

    return spin
