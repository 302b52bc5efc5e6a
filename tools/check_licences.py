"""Refuse run-time dependencies whose licence would bind this package: part of `make lint`.

Reads requirements.txt, torch and, where they are installed, requirements-mesh.txt,
requirements-viewer.txt, requirements-video.txt and requirements-networks.txt; follows what each
distribution requires in turn; looks at the licence in its metadata. Tools that only develop or
test this package (requirements-dev.txt) may have any licence: nothing of them is shipped.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parent.parent
OPTIONAL_FILES = tuple(
    f"requirements-{name}.txt" for name in ("mesh", "viewer", "video", "networks")
)

PERMISSIVE = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CNRI-Python",  # of an earlier Python: parts of the package regex
    "HPND",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "PSF-2.0",
    "Python-2.0",
    "Unlicense",
    "Zlib",
}
# Their terms end at the library's own files: using it as a library is free.
WEAK_COPYLEFT = {
    "LGPL-2.1-only",
    "LGPL-2.1-or-later",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MPL-2.0",
}
# The exception frees what is linked with the library.
FREED_BY = {"GCC-exception-3.1", "Classpath-exception-2.0"}
ALLOWED = PERMISSIVE | WEAK_COPYLEFT

# Names in classifiers and free texts, most restrictive first: the first that matches counts.
NAMES = (
    (r"affero|\bAGPL", "AGPL-3.0-only"),
    (r"lesser general|\bLGPL", "LGPL-3.0-or-later"),
    (r"general public|\bGPL", "GPL-3.0-only"),
    (r"mozilla public license 2|\bMPL[- ]?2", "MPL-2.0"),
    (r"apache", "Apache-2.0"),
    (r"\bBSD", "BSD-3-Clause"),
    (r"\bMIT\b", "MIT"),
    (r"\bISC\b", "ISC"),
    (r"python software foundation|\bPSF", "PSF-2.0"),
    (r"historical permission|\bHPND", "HPND"),
    (r"unlicense", "Unlicense"),
    (r"\bzlib\b", "Zlib"),
)

# Metadata names no licence. The value is what the distribution's own licence file says.
BY_HAND = {
    "apsw": "Zlib",  # "any OSI approved licence": its LICENSE offers zlib/libpng among others
    "setuptools": "MIT",  # LICENSE in its dist-info
}
# Refused as such, but allowed for a reason.
EXCEPTIONS = {
    # NVIDIA's redistributable libraries. They come with torch's CUDA build and never with its
    # CPU build, and nothing here links against them.
    r"nvidia-.+|cuda-.+": "redistributable, only with torch's CUDA build"
}
# Distribution -> reason; an entry that is not needed any more is an error.
TEMPORARY: dict[str, str] = {}


def accepted(expression: str) -> bool:
    """Whether an SPDX expression can be satisfied with allowed licences alone."""
    while group := re.search(r"\(([^()]*)\)", expression):
        expression = expression.replace(group[0], "MIT" if accepted(group[1]) else "refused")
    return any(
        all(_accepted_one(part.strip()) for part in re.split(r"\bAND\b", choice))
        for choice in re.split(r"\bOR\b", expression)
    )


def _accepted_one(licence: str) -> bool:
    name, _, exception = (part.strip() for part in licence.partition(" WITH "))
    return name in ALLOWED or exception in FREED_BY


def licence_of(found: Distribution) -> str:
    """Return the SPDX expression of a distribution; "unknown" where metadata names none.

    Several classifiers count as "all of these": stricter than some projects mean it.
    """
    about = found.metadata
    if about["License-Expression"]:
        return str(about["License-Expression"])
    classifiers = [line for line in about.get_all("Classifier") or [] if "License ::" in line]
    named = [_spdx(line.rpartition("::")[2]) for line in classifiers]
    # The whole text of a licence names others in passing: only a short field is a name.
    text = (about["License"] or "").strip()
    if not any(named) and len(text) < 100:
        named = [text if accepted(text) else _spdx(text)]
    known = sorted({name for name in named if name})
    return " AND ".join(known) or BY_HAND.get(canonicalize_name(about["Name"]), "unknown")


def _spdx(text: str) -> str:
    for pattern, name in NAMES:
        if re.search(pattern, text, re.IGNORECASE):
            return name
    return ""


def requirements_in(file: Path) -> Iterator[Requirement]:
    """Yield the requirements of a file, comments left out."""
    for line in file.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text:
            yield Requirement(text)


def reached(roots: Iterable[Requirement]) -> dict[str, Distribution | None]:
    """Return each distribution that the requirements need here; None where it is missing."""
    found: dict[str, Distribution | None] = {}
    todo = [(requirement, "") for requirement in roots]
    done: set[tuple[str, str]] = set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        try:
            found[name] = found.get(name) or distribution(name)
        except PackageNotFoundError:
            found[name] = None
            continue
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in done:
                done.add((name, wanted))
                needs = distribution(name).requires or []
                todo += [(Requirement(text), wanted) for text in needs]
    return found


def complaints(licences: Mapping[str, str], temporary: Mapping[str, str]) -> list[str]:
    """Return one text for each distribution that must not be needed at run time."""
    lines = []
    for name, licence in sorted(licences.items()):
        excepted = any(re.fullmatch(pattern, name) for pattern in EXCEPTIONS)
        if accepted(licence) or excepted or name in temporary:
            continue
        do = "drop it, or move it to requirements-dev.txt"
        if licence == "unknown":
            do = "read its licence file and add it to BY_HAND in tools/check_licences.py"
        lines.append(
            f"{name}: got the licence {licence}; expected a permissive one or weak copyleft; {do}"
        )
    lines += [
        f"{name}: got an entry in TEMPORARY; expected none, nothing needs it any more; "
        "remove the entry"
        for name in sorted(set(temporary) - set(licences))
    ]
    return lines


def installed_licences() -> dict[str, str]:
    """Return name -> licence of everything that is needed at run time on this machine."""
    roots = [*requirements_in(REPO / "requirements.txt"), Requirement("torch")]
    needed = reached(roots)
    optional = reached(
        requirement for name in OPTIONAL_FILES for requirement in requirements_in(REPO / name)
    )
    found = {name: item for name, item in optional.items() if item is not None} | needed
    missing = sorted(name for name, item in found.items() if item is None)
    if missing:
        sys.exit(
            f"got: not installed: {', '.join(missing)}\nexpected: all of requirements.txt\n"
            "do: make venv"
        )
    return {name: licence_of(item) for name, item in found.items() if item is not None}


def main() -> int:
    """Check; with --list, print each distribution with its licence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="print name and licence of each")
    arguments = parser.parse_args()
    licences = installed_licences()
    if arguments.list:
        print("\n".join(f"{name}: {licence}" for name, licence in sorted(licences.items())))
    found = complaints(licences, TEMPORARY)
    print("\n".join(found) or f"licences of {len(licences)} distributions are allowed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
