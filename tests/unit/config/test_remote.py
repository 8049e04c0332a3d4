"""``remote:`` in pipeline.yaml: what it takes, and that nothing in it can become an option, a header or a line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from coralforge.config.remote import Remote, host_and_port
from coralforge.pipeline.remote.connect import options

ADDRESS = "grpcs://cache.example:8980"


def refusal(**said: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Remote.model_validate(said)
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in caught.value.errors())


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"cache": "grpc://10.0.0.1"},
        {
            "cache": "https://cache.example/a/path",
            "headers": {"authorization": {"env": "TOKEN", "prefix": "Bearer "}},
        },
        {"cache": "grpcs://[2001:db8::1]:8980", "ca": "ca.pem", "certificate": "me.pem", "key": "me.key"},
        {"executor": ADDRESS, "instance": "a/b.c", "properties": {"OSFamily": "linux"}, "jobs": 50, "upload": False},
        {"cache": ADDRESS, "headers": {"x-token": {"file": "secret"}}, "timeout": 5, "away": "fail"},
    ],
)
def test_what_is_right_is_taken(said: dict[str, Any]) -> None:
    assert Remote.model_validate(said).used == bool(said)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"cache": "ftp://x"}, "cache: Value error, an address is grpcs://HOST:PORT (or grpc, or https, http)"),
        ({"executor": "https://x"}, "executor: Value error, an address is grpcs://HOST:PORT (or grpc)"),
        ({"cache": "grpcs://user:secret@x"}, "without user, password and query"),
        ({"cache": "grpcs://x:0"}, "there is no port 0"),
        ({"cache": "grpcs://x:70000"}, "Port out of range"),
        ({"cache": "grpcs://localhost:1"}, "localhost is the build's own container there"),
        ({"cache": "grpcs://127.0.0.9:1"}, "the build's own container"),
        ({"cache": "grpcs://[::1]:1"}, "the build's own container"),
        ({"cache": "grpc://0.0.0.0:1"}, "the build's own container"),
        ({"upload": False}, "without 'cache' or 'executor' there is nothing that the rest could be for"),
        ({"cache": "https://x", "executor": "grpcs://x"}, "an executor needs a cache that speaks gRPC"),
        ({"cache": "grpc://x", "executor": "grpcs://x"}, "both have TLS (grpcs, https), or neither"),
        ({"cache": "grpc://x", "headers": {"a": {"env": "A"}}}, "'headers' needs an address with TLS"),
        ({"cache": "http://x", "ca": "ca.pem"}, "'ca' needs an address with TLS"),
        ({"cache": ADDRESS, "key": "a"}, "'certificate' and 'key' go together"),
        ({"cache": ADDRESS, "jobs": 3}, "'jobs' is for an executor"),
        ({"cache": ADDRESS, "properties": {"a": "b"}}, "'properties' is for an executor"),
        ({"cache": ADDRESS, "headers": {"te": {"env": "A"}}}, "te is a header of the protocol itself"),
        ({"cache": ADDRESS, "headers": {"x-bin": {"env": "A"}}}, "x-bin is a header of the protocol itself"),
        ({"cache": ADDRESS, "headers": {"a": {}}}, "give exactly one of 'env' and 'file'"),
        ({"cache": ADDRESS, "headers": {"a": {"env": "A", "file": "b"}}}, "give exactly one of 'env' and 'file'"),
        (
            {"cache": ADDRESS, "headers": {"a": {"value": "secret"}}},
            "headers.a.value: Extra inputs are not permitted",
        ),
        ({"cache": ADDRESS, "headers": {"a b": {"env": "A"}}}, "String should match pattern"),
        ({"cache": ADDRESS, "timeout": 0}, "timeout: Input should be greater than or equal to 1"),
        ({"cache": ADDRESS, "away": "maybe"}, "away: Input should be 'local' or 'fail'"),
    ],
)
def test_what_is_wrong_is_refused_with_the_reason(said: dict[str, Any], expected: str) -> None:
    assert expected in refusal(**said)


HOSTILE = st.text(max_size=30) | st.sampled_from(
    [
        "--x",
        "a b",
        "a\nbuild --x",
        "a\r\nx: y",
        "a=b",
        '"',
        "'",
        "$(x)",
        "`x`",
        "%workspace%",
        "a\x00",
        "a,b",
        "#",
        "\\",
    ]
)


@given(HOSTILE)
def test_no_text_becomes_an_option_or_a_line_of_its_own(text: str) -> None:
    """What Bazel reads of all fields is one word a line, and each begins as it should."""
    values: list[dict[str, Any]] = [
        {"cache": f"grpcs://{text}"},
        {"cache": f"grpcs://x{text}"},
        {"cache": f"https://x/{text}"},
        {"executor": f"grpcs://x:1{text}"},
        {"executor": "grpcs://x", "instance": text},
        {"executor": "grpcs://x", "properties": {text: "a"}},
        {"executor": "grpcs://x", "properties": {"a": text}},
    ]
    for said in values:
        try:
            remote = Remote.model_validate(said)
        except ValidationError:
            continue
        for word in (*options(remote), *remote.addresses):
            assert word.isascii() and word.isprintable()
            assert not set(word) & set(" \"'\\#$`%,;")
        assert all(option.startswith("--") for option in options(remote))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("grpcs://x", ("x", 443)),
        ("grpc://x:8980", ("x", 8980)),
        ("http://x/a", ("x", 80)),
        ("grpcs://[2001:db8::1]:9", ("2001:db8::1", 9)),
    ],
)
def test_an_address_has_a_host_and_a_port(address: str, expected: tuple[str, int]) -> None:
    assert host_and_port(address) == expected
