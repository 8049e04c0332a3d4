"""Options are checked before anything runs, and become arguments that the compiler at hand understands."""

from __future__ import annotations

import re
from typing import Any

import pytest

from coralforge.compile.options import CompilerOptions, flags_of, number
from coralforge.errors import CoralforgeError, ExitCode

HELP = """Edge TPU Compiler version 16.0.384591198

Usage:
edgetpu_compiler [options] model...

  -o, --out_dir
  -s, --show_operations
  -m, --min_runtime_version
  -a, --enable_multiple_subgraphs
        Enable multiple(all) subgraphs (experimental flag).
"""
ALL = flags_of("16.0.384591198", "")


def refused(**options: Any) -> str:
    with pytest.raises(CoralforgeError) as caught:
        CompilerOptions(**options)
    assert (caught.value.reason, caught.value.code) == ("compile-option", ExitCode.USER)
    return caught.value.brief


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"min_runtime": 9}, "--min-runtime"),
        ({"min_runtime": 100}, "--min-runtime"),
        ({"segments": 0}, "--segments"),
        ({"segments": 65}, "--segments"),
        ({"timeout": 0}, "--timeout"),
        ({"timeout": 86_401}, "--timeout"),
        ({"search_delegate": True, "search_step": 0}, "--search-step"),
        ({"search_step": 2}, "--search-step"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, Any], named: str) -> None:
    assert refused(**options).startswith(named)


def test_the_limits_are_taken() -> None:
    CompilerOptions(min_runtime=10, segments=64, timeout=86_400, search_delegate=True, search_step=1000)


def test_a_runtime_that_the_release_does_not_have_is_refused() -> None:
    CompilerOptions(min_runtime=14).check(1, 14)
    with pytest.raises(CoralforgeError, match=r"is 14, but the release's libedgetpu takes models up to 13"):
        CompilerOptions(min_runtime=14).check(1, 13)


def test_several_models_are_not_cut_into_segments() -> None:
    CompilerOptions(segments=2).check(1, 14)
    with pytest.raises(CoralforgeError, match="--segments"):
        CompilerOptions(segments=2).check(2, 14)


@pytest.mark.parametrize("text", ["", "two", "-1", "1.5", "1e3", "٣", "9" * 20, "0x10"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(CoralforgeError, match=re.escape("--timeout takes a whole number")) as caught:
        number("--timeout", text)
    assert caught.value.reason == "compile-option"


def test_numbers_are_read() -> None:
    assert [number("--x", text) for text in ("7", " 014 ", None)] == [7, 14, None]


def test_the_arguments_of_an_ordinary_run() -> None:
    arguments = CompilerOptions().arguments(ALL, "16.0", "out", ["in/a.tflite", "in/b.tflite"])
    expected = "--show_operations --out_dir out --timeout_sec 180 in/a.tflite in/b.tflite"
    assert arguments == tuple(expected.split())


def test_the_arguments_for_everything() -> None:
    options = CompilerOptions(13, 2, multiple_subgraphs=True, search_delegate=True, search_step=10, timeout=600)
    assert " ".join(options.arguments(ALL, "16.0", "out", ["in/a.tflite"])) == (
        "--show_operations --out_dir out --min_runtime_version 13 --num_segments 2 --enable_multiple_subgraphs "
        "--search_delegate --delegate_search_step 10 --timeout_sec 600 in/a.tflite"
    )


def test_an_old_version_gets_no_timeout() -> None:
    arguments = CompilerOptions(timeout=600).arguments(flags_of("2.0.267685300", ""), "2.0", "out", ["m"])
    assert arguments == ("--show_operations", "--out_dir", "out", "m")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"segments": 2}, "--segments needs --num_segments"),
        ({"multiple_subgraphs": True}, "--multiple-subgraphs needs --enable_multiple_subgraphs"),
        ({"search_delegate": True}, "--search-delegate needs --search_delegate"),
    ],
)
def test_what_an_old_version_cannot_do_is_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(
        CoralforgeError, match=f"{named}, which Edge TPU Compiler 2.0.267685300 does not have"
    ) as caught:
        CompilerOptions(**options).arguments(flags_of("2.0.267685300", ""), "2.0.267685300", "out", ["m"])
    assert caught.value.reason == "compile-option"


def test_flags_are_those_that_the_help_lists() -> None:
    flags = flags_of("16.0.384591198", HELP)
    assert {"enable_multiple_subgraphs", "out_dir", "show_operations", "min_runtime_version"} == flags


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        ("2.0.267685300", "min_runtime_version", "num_segments"),
        ("14.1.317412892", "num_segments", "enable_multiple_subgraphs"),
        ("15.0.340273435", "enable_multiple_subgraphs", "search_delegate"),
        ("16.0.384591198", "timeout_sec", "no_such_flag"),
    ],
)
def test_a_help_that_lists_nothing_leaves_the_version(version: str, has: str, lacks: str) -> None:
    flags = flags_of(version, "Usage:\nedgetpu_compiler [options] model...\n")
    assert (has in flags, lacks in flags) == (True, False)
