"""The common part of all configuration models: strict models, names and digests, targets, places (pydantic 2)."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from coralforge.config.arch import Arch

FORMAT = 1
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256, lower-case hex")]
GitId = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$", description="Git object id (SHA-1), lower-case hex")]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.+-]{0,63}$")]

_TRICKS = ("`", "$", '"', "\\", "{{", "{%", "{#")


def plain_text(text: str) -> str:
    """The text, if no shell, template, CMake or Bazel file can take a part of it for an instruction."""
    for character in text:
        if not (character.isprintable() and ord(character) < 0xE0000):
            raise ValueError(f"{character!r} is no character of a text")
    for trick in _TRICKS:
        if trick in text:
            raise ValueError(f"{trick!r} is not allowed in a text")
    return text


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError(f"{path!r} is not a path below the source")
    return path


Text = Annotated[str, AfterValidator(plain_text)]
"""One line for people, a path or an address. A field of configuration that is a string is one, or has a pattern."""
PathBelow = Annotated[Text, AfterValidator(_inside)]
"""A path that stays in the folder it is below."""


class Model(BaseModel):
    """Base of all configuration models: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class Variant(str, Enum):
    """Which libedgetpu: maximum clock, reduced clock, or the simulated one."""

    DIRECT = "direct"
    THROTTLED = "throttled"
    SIMULATED = "simulated"

    @property
    def real(self) -> bool:
        """Whether it is built from libedgetpu's source and drives hardware."""
        return self is not Variant.SIMULATED


class Place(Model):
    """One place a source can be had from. Exactly one of ``url`` and ``debian`` is given."""

    url: Text | None = None
    """An https (or http, file) address of the archive."""
    debian: Text | None = None
    """A path below the Debian archive that this machine's own apt is configured for (``pool/...``)."""
    sha256: Sha256
    """Digest of the file."""
    size: int | None = Field(default=None, gt=0, le=2**32)
    """Size of the file in bytes; a larger answer is refused at once."""
    strip: int = Field(default=1, ge=0, le=4)
    """Leading path components that are removed when the archive is unpacked."""
    arch: Arch | None = Field(default=None, strict=False)
    """Only for this target architecture (binary packages)."""
    snapshot: str | None = Field(default=None, pattern=r"^\d{8}T\d{6}Z$")
    """A time when Debian's archive had the path: where a snapshot archive is known, it is asked last."""
    prebuilt: bool = False
    """True when this place has compiled files, not source; the manifest says so."""
    note: Text = ""
    """A remark on what is different about this place; shown in the manifest."""

    @model_validator(mode="after")
    def _one_address(self) -> Place:
        if (self.url is None) == (self.debian is None):
            raise ValueError("give exactly one of 'url' and 'debian'")
        if self.url is not None:
            parts = urlsplit(self.url)
            if parts.scheme not in ("https", "http", "file") or not parts.path:
                raise ValueError(f"{self.url!r} is not an https, http or file address")
        if self.snapshot is not None and self.debian is None:
            raise ValueError("'snapshot' goes with 'debian'")
        if self.debian is not None:
            path = PurePosixPath(self.debian)
            if path.is_absolute() or ".." in path.parts or path.parts[:1] != ("pool",):
                raise ValueError(f"{self.debian!r} is not a path below pool/")
        return self

    @property
    def address(self) -> str:
        """The name of this place in messages."""
        return self.url if self.url is not None else f"debian:{self.debian}"

    @property
    def filename(self) -> str:
        """The file's name in a mirror folder: for a GitHub archive ``REPO-COMMIT.tar.gz``, as GitHub offers it."""
        path = urlsplit(self.url).path if self.url is not None else self.debian or ""
        parts = path.split("/")
        if len(parts) > 3 and "archive" in parts[2:] and not parts[-1].startswith(f"{parts[2]}-"):
            tag = re.sub(r"^v(?=\d)", "", parts[-1])
            return f"{parts[2]}-{tag}"
        return parts[-1]
