"""Documents that are made to take all memory, all time, or to be read otherwise than they look."""

from __future__ import annotations

from collections.abc import Iterator

FULL = 1 << 18
"""As long as a configuration file may be."""


def filled(piece: str, size: int = FULL) -> str:
    return (piece * (size // len(piece.encode()) + 1)).encode()[:size].decode(errors="ignore")


def laughs(levels: int) -> str:
    """A billion laughs: each line is ten times the one before."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


REFUSED: dict[str, tuple[str, str]] = {
    "a billion laughs": (laughs(9), "yaml-alias"),
    "an alias of itself": ("a: &a [*a]\n", "yaml-alias"),
    "aliases of keys": ("? &a b\n: 1\n", "yaml-alias"),
    "a merge": ("a: {b: 1}\nc:\n  <<: {d: 1}\n", "yaml-key"),
    "a key twice": ("release: 2.14.1\noutput: x\nrelease: 2.14.2\n", "yaml-duplicate-key"),
    "a key twice in quotes": ("a: 1\n'a': 2\n", "yaml-duplicate-key"),
    "a key twice in escapes": ('a: 1\n"\\x61": 2\n', "yaml-duplicate-key"),
    "a Python object": ("a: !!python/object/apply:os.system [id]\n", "yaml-tag"),
    "a Python name": ("a: !!python/name:os.system\n", "yaml-tag"),
    "a tag that is short": ("a: !x 1\n", "yaml-tag"),
    "a tag of YAML's own": ("a: !!str 1\n", "yaml-tag"),
    "binary": ("a: !!binary aGk=\n", "yaml-tag"),
    "a set": ("a: !!set {b}\n", "yaml-tag"),
    "a directive for tags": ("%TAG ! tag:yaml.org,2002:python/\n---\na: !name:os.system 1\n", "yaml-tag"),
    "deep brackets": (filled("["), "yaml-syntax"),
    "deep braces": (filled("{a: "), "yaml-syntax"),
    "deep dashes": (filled("- "), "yaml-syntax"),
    "deep questions": (filled("? "), "yaml-syntax"),
    "deep by indent": ("".join(f"{' ' * n}a:\n" for n in range(700)), "yaml-syntax"),
    "many items": (filled("- a\n"), "yaml-syntax"),
    "many in brackets": ("[" + filled("a,", FULL - 10), "yaml-syntax"),
    "many keys": ("".join(f"k{n}: 1\n" for n in range(20_000)), "yaml-syntax"),
    "many documents": (filled("---\n"), "yaml-syntax"),
    "a number as long as the file": ("a: " + "1" * (FULL - 10), "yaml-syntax"),
    "a number of base 60": ("a: 1" + ":59" * (FULL // 4), "yaml-tag"),
    "a short one": ("port: 22:22\n", "yaml-tag"),
    "a float of base 60": ("a: 1" + ":59" * (FULL // 4) + ".5", "yaml-tag"),
    "a date": ("a: 2026-11-28\n", "yaml-tag"),
    "50 MB": (filled("# x\n", 50_000_000), "config-unreadable"),
    "50 MB of items": (filled("- a\n", 50_000_000), "config-unreadable"),
    "one byte too long": ("#" * (FULL + 1), "config-unreadable"),
    "no UTF-8": ("a: \udcff\n", "config-unreadable"),
    "UTF-16": ("a: 1\n".encode("utf-16").decode("utf-8", "surrogateescape"), "config-unreadable"),
    "NUL": ("a: '\0'\n", "yaml-syntax"),
    "an escape": ("a: \x1b[2J\n", "yaml-syntax"),
    "a tab for an indent": ("a:\n\tb: 1\n", "yaml-syntax"),
    "an end that is not there": ('a: "' + filled("b ", FULL - 10), "yaml-syntax"),
    "long keys": (filled("a" * 1000 + ": 1\n"), "yaml-syntax"),
}
READ = {
    name: filled(piece)
    for name, piece in {
        "spaces": " ", "newlines": "\n", "returns": "\r", "comments": "# x\n", "words": "a ", "lines": "a\n",
        "separators": "\u2028", "marks": "\ufeff", "letters": "a",
    }.items()
} | {
    "a literal": "a: |\n" + filled(" b\n", FULL - 10),
    "a folded text": "a: >\n" + filled(" b\n\n", FULL - 10),
    "quoted lines": '"' + filled("\n", FULL - 10) + '"',
    "underscores": "a: 1" + "_" * (FULL - 10),
    "a long fraction": "a: ." + "1" * (FULL - 10),
    "nearly a float": "a: 1." + "0" * (FULL - 10) + "e",
}  # fmt: skip
"""Read or refused: at any rate soon."""


def every() -> Iterator[tuple[str, str, str]]:
    """Name, text, and the reason that is expected (empty: any, or none)."""
    for name, (text, reason) in REFUSED.items():
        yield name, text, reason
    for name, text in READ.items():
        yield name, text, ""
