"""Nothing that is needed at run time binds this package by its licence, and the page says so."""

from __future__ import annotations

import re
from email.message import Message
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _tools_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "tools"))


class Distributed:
    """A distribution of which only the metadata exists."""

    def __init__(self, name: str, **fields: str | list[str]) -> None:
        self.metadata = Message()
        self.metadata["Name"] = name
        for field, values in fields.items():
            for value in [values] if isinstance(values, str) else values:
                self.metadata[field.replace("_", "-")] = value


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("MPL-2.0 AND MIT", True),
        ("LGPL-2.1-or-later", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("MIT AND (Apache-2.0 OR GPL-2.0-only)", True),
        ("GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only AND (MIT OR Apache-2.0)", False),
        ("GPL-3.0-only WITH unknown-exception", False),
        ("LicenseRef-Proprietary", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_expressions(expression, allowed):
    from check_licences import accepted

    assert accepted(expression) is allowed


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ({"License_Expression": "Apache-2.0 OR MIT", "License": "GPL"}, "Apache-2.0 OR MIT"),
        ({"License": "BSD 3-Clause License"}, "BSD-3-Clause"),
        ({"License": "MPL-2.0 AND MIT"}, "MPL-2.0 AND MIT"),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        (
            {"Classifier": ["License :: OSI Approved :: BSD License", "Topic :: GPL"]},
            "BSD-3-Clause",
        ),
        (
            {
                "Classifier": [
                    "License :: OSI Approved :: BSD License",
                    "License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
                ]
            },
            "BSD-3-Clause AND GPL-3.0-only",
        ),
        ({"License": "GNU Lesser General Public License v3"}, "LGPL-3.0-or-later"),
        ({"License": "GNU Affero General Public License"}, "AGPL-3.0-only"),
        # The whole text of a licence: what it is, only a person can say.
        ({"License": "Redistribution of this MIT-like thing is permitted. " * 5}, "unknown"),
        ({"License": "UNKNOWN"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_metadata(fields, licence):
    from check_licences import licence_of

    assert licence_of(Distributed("any", **fields)) == licence


def test_a_licence_listed_by_hand_counts_where_metadata_names_none():
    from check_licences import BY_HAND, licence_of

    name = next(iter(BY_HAND))
    assert licence_of(Distributed(name)) == BY_HAND[name]
    assert licence_of(Distributed(name, License="GPL-3.0-only")) == "GPL-3.0-only"


def test_what_is_refused_is_named_with_what_to_do():
    from check_licences import complaints

    (line,) = complaints({"good": "MIT", "bad": "GPL-3.0-only"}, {})
    assert line.startswith("bad: got the licence GPL-3.0-only") and "requirements-dev" in line
    (line,) = complaints({"odd": "unknown"}, {})
    assert "BY_HAND" in line
    assert complaints({"nvidia-cudnn-cu13": "LicenseRef-NVIDIA-Proprietary"}, {}) == []


def test_a_temporary_allowance_must_still_be_needed():
    from check_licences import complaints

    assert complaints({"bad": "GPL-3.0-only"}, {"bad": "until the next release"}) == []
    (line,) = complaints({"good": "MIT"}, {"bad": "until the next release"})
    assert "remove the entry" in line


def test_requirements_are_followed_to_the_end():
    from packaging.requirements import Requirement

    from check_licences import reached

    found = reached([Requirement("rich>=12"), Requirement("absent-thing")])
    assert {"rich", "markdown-it-py", "mdurl"} <= set(found)
    assert found["absent-thing"] is None
    assert reached([Requirement("rich; python_version < '3'")]) == {}


def test_everything_installed_for_run_time_is_allowed():
    from check_licences import TEMPORARY, complaints, installed_licences

    licences = installed_licences()
    assert {"numpy", "torch", "rosbags"} <= set(licences)
    assert complaints(licences, TEMPORARY) == []


def test_the_page_names_the_licence_of_each_python_dependency():
    from importlib.metadata import PackageNotFoundError, distribution

    from check_licences import licence_of, requirements_in

    page = (REPO / "docs" / "dependencies.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
    said = {row[2].strip(): row[3].strip() for row in rows if len(row) == 6}
    optional = (f"requirements-{name}.txt" for name in ("mesh", "viewer", "video", "networks"))
    for file in ("requirements.txt", *optional):
        for requirement in requirements_in(REPO / file):
            cell = next(text for names, text in said.items() if f"`{requirement.name}`" in names)
            try:
                found = licence_of(distribution(requirement.name))
            except PackageNotFoundError:
                continue
            words = set(re.findall(r"[\w.-]+", cell))
            assert words & set(re.findall(r"[\w.-]+", found)), f"{requirement}: {cell}, {found}"
