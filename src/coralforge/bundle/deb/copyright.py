"""debian/copyright in its machine-readable form, from the sources of a release and the bundle's licence texts.

All packages of a bundle have the same one, and those of all architectures: they may be installed side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from coralforge.config.release import Source

_FORMAT = "https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
# Debian has this text once on each system, and does not want it anywhere else.
_APACHE = re.compile(
    r"[ \t]*Apache License\s+Version 2\.0, January 2004.*?END OF TERMS AND CONDITIONS\s*"
    r"(APPENDIX: .*?limitations under the License\.\s*)?",
    re.DOTALL,
)
_IN_DEBIAN = "On Debian systems the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0.\n"


def copyright_text(used: Mapping[str, Source], licences: Path) -> str:
    """The text of the file: a paragraph for coralforge, and one for each source.

    ``licences`` is the bundle's folder share/licenses. Raises OSError.
    """
    about = "Binary packages, made by coralforge. Folders below sources/ stand for the source of each part."
    paragraphs = [
        f"Format: {_FORMAT}\nUpstream-Name: coralforge\nSource: {about}\n",
        "Files: *\nCopyright: 2026 the authors of coralforge\nLicense: Apache-2.0\n" + "".join(_indented(_IN_DEBIAN)),
    ]
    paragraphs += [_paragraph(name, used[name], licences / name) for name in sorted(used)]
    return "\n".join(paragraphs)


def _paragraph(name: str, source: Source, folder: Path) -> str:
    holders = "\n  ".join(source.copyright or [f"the authors of {name}"])
    about = f"{name} {source.version}" + (f", {source.homepage}" if source.homepage else "")
    licence = source.licence.replace(" AND ", " and ").replace(" OR ", " or ")
    head = f"Files: sources/{name}/*\nCopyright: {holders}\nComment: {about}\nLicense: {licence}\n"
    return head + "".join(line for text in _texts(folder) for line in _indented(text))


def _texts(folder: Path) -> Iterator[str]:
    """The licence texts of one source; what they say in common is said once."""
    seen: set[str] = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").replace("\f", "")
        text = re.sub(r"\n{3,}", "\n\n", _APACHE.sub(_IN_DEBIAN, text)).strip("\n") + "\n"
        if text not in seen:
            yield text if not seen else f"\n{text}"
        seen.add(text)


def _indented(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield f" {line.rstrip() or '.'}\n"
