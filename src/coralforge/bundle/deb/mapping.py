"""The table that says where each file of a bundle goes: into which package, and to which path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coralforge.bundle.deb.packages import DEV, EDGETPU_DEV, RUNTIMES, TFLITE, TOOLS
from coralforge.errors import build_error

LIB = "usr/lib/{triple}"
PRIVATE = f"{LIB}/coralforge"
"""A folder for files that would clash with those of Debian's own packages (libflatbuffers-dev)."""
HOME = "usr/lib/coralforge"
"""The programs, with smoke.sh beside bin/ and share/ as in a bundle."""
SHARED = "usr/share/coralforge"


@dataclass(frozen=True)
class Rule:
    """Files whose path matches ``pattern`` go to ``target``, which may name {triple} and the pattern's groups."""

    pattern: str
    target: str = ""
    packages: tuple[str, ...] = ()
    """Those of them that the bundle has a variant for; none where the files are left out."""
    because: str = ""
    """Why they are left out."""


RULES = (
    *(
        Rule(rf"lib/{variant.value}/(?P<name>libedgetpu\.so\.1(\.0)?)", f"{LIB}/{{name}}", (package.name,))
        for variant, package in RUNTIMES.items()
    ),
    Rule(r"lib/[a-z]+/libedgetpu\.so", because="libedgetpu-dev has one link for all variants"),
    Rule(r"lib/libedgetpu\.so\.1", because="the variant is chosen by its package"),
    Rule(r"lib/(?P<name>libedgetpu\.so)", f"{LIB}/{{name}}", (EDGETPU_DEV,)),
    Rule(r"lib/(?P<name>libtensorflowlite(_c|_xnnpack)?\.so)", f"{LIB}/{{name}}", (TFLITE,)),
    Rule(r"lib/libusb-1\.0\.so(\.0)?", because="Debian's is as good, and it is updated"),
    Rule(r"lib/(?P<name>lib\w+\.a)", f"{PRIVATE}/{{name}}", (DEV,)),
    Rule(r"lib/(cmake|pkgconfig)/.+", because="rendered anew for Debian's folders"),
    Rule(r"include/(?P<name>edgetpu(_c)?\.h)", "usr/include/{name}", (EDGETPU_DEV,)),
    Rule(r"include/(?P<name>.+)", "usr/include/coralforge/{name}", (DEV,)),
    Rule(r"(?P<name>bin/[^/]+)", f"{HOME}/{{name}}", (TOOLS,)),
    Rule(r"(?P<name>[^/]+\.sh)", f"{HOME}/{{name}}", (TOOLS,)),
    Rule(r"share/(?P<name>models/.+)", f"{SHARED}/{{name}}", (TOOLS,)),
    Rule(r"(?P<name>MANIFEST\.json)", f"{SHARED}/{{name}}", (TOOLS,)),
    # Not below /usr: see the override of lintian's aliased-location.
    Rule(
        r"share/udev/(?P<name>[^/]+\.rules)",
        "lib/udev/rules.d/{name}",
        tuple(package.name for variant, package in RUNTIMES.items() if variant.real),
    ),
    Rule(r"share/licenses/.+", because="copied into each package's copyright file"),
    Rule(r"README\.md", because="it speaks of the folder; packages have manual pages"),
)
"""The first that matches counts."""


def place(names: Iterable[str], triple: str, present: Iterable[str]) -> dict[str, dict[str, str]]:
    """By package, and in it by target, the file of the bundle. ``present`` are names of the bundle's packages.

    Raises:
        CoralforgeError: ``deb-unplaced``, exit code 5: no rule is about a file, or two files want one path.
    """
    placed: dict[str, dict[str, str]] = {name: {} for name in present}
    for name in names:
        rule, groups = _rule_for(name)
        target = rule.target.format(triple=triple, **groups)
        for package in placed.keys() & set(rule.packages):
            other = placed[package].setdefault(target, name)
            if other != name:
                raise _unplaced(f"{name} and {other} both want to be /{target} of {package}")
    return placed


def _rule_for(name: str) -> tuple[Rule, Mapping[str, str]]:
    for rule in RULES:
        match = re.fullmatch(rule.pattern, name)
        if match:
            return rule, match.groupdict()
    raise _unplaced(f"no package has a place for the bundle's {name}")


def _unplaced(problem: str) -> Exception:
    return build_error(
        problem,
        reason="deb-unplaced",
        remedy="add a rule to RULES in src/coralforge/bundle/deb/mapping.py, with a package or a reason for none",
    )
