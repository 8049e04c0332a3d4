"""The pins of a release (pydantic 2): releases/VERSION.yaml, one matched set of sources."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from coralforge.config.base import GitId, Model, Name, PathBelow, Place, Text


class Source(Model):
    """One part of a release: what it is (version, commit, tree) and where it can be had."""

    version: Text = Field(min_length=1)
    """Upstream's version."""
    commit: GitId | None = None
    """Upstream's commit, where known."""
    tree: GitId | None = None
    """Git tree id of the whole source; a local checkout with this tree counts as pinned."""
    licence: Text = Field(min_length=1)
    """SPDX expression."""
    licence_files: list[PathBelow] = Field(default_factory=lambda: ["LICENSE"])
    """Files below the unpacked tree that are copied into the bundle."""
    copyright: list[Text] = Field(default_factory=list)
    """Its copyright holders, with years where they say them; for the copyright files of Debian packages."""
    homepage: Text = ""
    """Where the project lives."""
    places: list[Place] = Field(min_length=1)
    """Places in order of preference."""


class Release(Model):
    """A matched set of pins: releases/VERSION.yaml."""

    format: Literal[1]
    """Version of this file's format."""
    release: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    """TensorFlow Lite's version; the release's name."""
    tensorflow_commit: GitId
    """The commit that TFLite and libedgetpu are both built against and stamped with."""
    edgetpu_runtime: int = Field(ge=10, le=99)
    """The highest runtime version of compiled models that libedgetpu takes: kCurrent in its api/runtime_version.h."""
    sources: dict[Name, Source]
    """Everything that is compiled, by name."""
    test_sources: dict[Name, Source] = Field(default_factory=dict)
    """Sources of this project's own C++ tests alone, by name; never part of a bundle."""

    @model_validator(mode="after")
    def _apart(self) -> Release:
        for name in self.sources.keys() & self.test_sources.keys():
            raise ValueError(f"{name!r} is in both sources and test_sources")
        return self

    @model_validator(mode="after")
    def _matched(self) -> Release:
        tensorflow = self.sources.get("tensorflow")
        if tensorflow is None or tensorflow.commit != self.tensorflow_commit:
            found = tensorflow.commit if tensorflow else "no such source"
            raise ValueError(
                f"sources.tensorflow.commit ({found}) is not tensorflow_commit ({self.tensorflow_commit}): "
                "TensorFlow Lite and libedgetpu from different commits crash at run time"
            )
        return self
