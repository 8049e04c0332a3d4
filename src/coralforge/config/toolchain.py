"""The pinned compiler and sysroots: toolchains/toolchain.yaml (pydantic 2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from coralforge.config.arch import Arch
from coralforge.config.base import Model, Place, Text


class Sysroot(Model):
    """The Debian packages that one target is compiled and linked against."""

    suite: Text = Field(min_length=1)
    """The Debian suite that they are from."""
    packages: list[Place] = Field(min_length=1)
    """C library, C++ library and their headers."""


class Toolchain(Model):
    """All that compiles and links what ships, by digest."""

    format: Literal[1]
    """Version of this file's format."""
    snapshot: str = Field(pattern=r"^\d{8}T\d{6}Z$")
    """When Debian's archive had all of these packages: snapshot archives keep them after their suites are gone."""
    compiler: list[Place] = Field(min_length=1)
    """clang, lld, LLVM's tools, and what they load beside the C and C++ libraries."""
    sanitizers: list[Place] = Field(min_length=1)
    """Only for the C++ tests of the simulated libedgetpu."""
    sysroots: dict[str, Sysroot]
    """By architecture."""

    @field_validator("sysroots", mode="after")
    @classmethod
    def _one_each(cls, value: dict[str, Sysroot]) -> dict[str, Sysroot]:
        wanted = {arch.value for arch in Arch}
        if value.keys() != wanted:
            raise ValueError(f"one for each of {', '.join(sorted(wanted))} is wanted, and no other")
        return value

    @model_validator(mode="after")
    def _with_digests_and_sizes(self) -> Toolchain:
        for place in self.packages():
            if place.debian is None or place.size is None:
                raise ValueError(f"{place.address}: 'debian' and 'size' are wanted")
        return self

    def packages(self) -> list[Place]:
        """All of them."""
        return [*self.compiler, *self.sanitizers, *(p for root in self.sysroots.values() for p in root.packages)]

    def dated(self, places: list[Place]) -> tuple[Place, ...]:
        """The places with the time at which a snapshot archive has them."""
        return tuple(place.model_copy(update={"snapshot": self.snapshot}) for place in places)
