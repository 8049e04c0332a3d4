"""Reads what a libedgetpu promises: its two headers, its version script, and the list of what ours exports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True)
class Headers:
    """edgetpu.h and edgetpu_c.h without comments and spacing."""

    functions: dict[str, str]
    """Exported C functions: name to declaration."""
    virtuals: dict[str, tuple[str, ...]]
    """Per class, its virtual functions in the order that the binary interface has them in."""
    exported: tuple[str, ...]
    """Exported C++ functions that are not virtual, with what they are in, and the destructor that is defined."""
    types: dict[str, str]
    """Enumerations and C structures: name to content."""
    custom_op: str


@dataclass(frozen=True)
class VersionScript:
    """Which symbols of a library are seen from outside, by patterns."""

    node: str
    cpp: tuple[str, ...]
    """Patterns of demangled names."""
    plain: tuple[str, ...]

    def shows(self, export: Export) -> bool:
        """Whether the symbol would be exported."""
        by_name = any(fnmatchcase(export.symbol, pattern) for pattern in self.plain)
        return by_name or any(fnmatchcase(export.meaning, pattern) for pattern in self.cpp if export.meaning)


@dataclass(frozen=True)
class Export:
    """One line of exports.txt; ``meaning`` is the demangled name, "" for a C function."""

    symbol: str
    meaning: str


def read_headers(folder: Path) -> Headers:
    """The headers in ``folder``."""
    c, cpp = (_plain((folder / name).read_text()) for name in ("edgetpu_c.h", "edgetpu.h"))
    functions = {name: text for text, name in re.findall(r"EDGETPU_EXPORT ([^;{]*?\b(\w+) ?\([^;]*\));", c)}
    bodies = dict(re.findall(r"class (?:EDGETPU_EXPORT )?(\w+)[^{};]*\{(.*?) \};", _outer_only(cpp)))
    return Headers(
        functions={name: text.replace("(void)", "()") for name, text in functions.items()},
        virtuals={
            name: tuple(re.findall(r"virtual ([^;]+);", body)) for name, body in bodies.items() if "virtual" in body
        },
        exported=(
            *(f"edgetpu::{name}" for name in re.findall(r"EDGETPU_EXPORT [^;{]*?(\w+|operator<<)\([^;{]*;", cpp)),
            *(f"edgetpu::EdgeTpuManager::{name}" for name in re.findall(r"static \S+ (\w+)\(\)", cpp)),
            *(f"edgetpu::{name}::~{name}" for name in re.findall(r"class (\w+) : public TfLiteExternalContext", cpp)),
        ),
        types=dict(re.findall(r"(?:enum class|enum|struct) (\w+) \{ ([^}]*?)(?:,? \}| friend)", f"{c} {cpp}")),
        custom_op=re.findall(r'kCustomOp\[\] = "([^"]*)"', cpp)[0],
    )


def _plain(text: str) -> str:
    """Without comments and directives, and with one space where there was any."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*|^#[^\n]*(?:\\\n[^\n]*)*", " ", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"\s+", " ", text).replace("( ", "(")


def _outer_only(text: str) -> str:
    """Classes without what is in braces inside of them."""
    inner = r"(struct \w+|\)) \{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}"
    return re.sub(inner, r"\1", text)


def read_version_script(path: Path) -> VersionScript:
    """A script with one node, as libedgetpu's."""
    text = re.sub(r"/\*.*?\*/", " ", path.read_text(), flags=re.DOTALL)
    found = re.search(r"([\w.]+) \{\s*global:(.*)local:", text, flags=re.DOTALL)
    assert found, f"{path} has another form"
    cpp = " ".join(re.findall(r'extern "C\+\+" \{([^}]*)\}', found[2]))
    plain = re.sub(r'extern "C\+\+" \{[^}]*\};?', " ", found[2])
    return VersionScript(found[1], _names(cpp), _names(plain))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in re.split(r"[;\s]+", text) if name)


def read_exports(path: Path) -> list[Export]:
    """The lines of exports.txt."""
    lines = [line.partition("#")[0].split(maxsplit=1) for line in path.read_text().splitlines()]
    return [Export(words[0], words[1].strip() if len(words) > 1 else "") for words in lines if words]
