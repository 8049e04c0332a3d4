"""An image is known by the label with its key, not by its tag alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from coralforge.containers.image import Image
from coralforge.containers.image_maker import KEY_LABEL, exists

IMAGE = Image("builder", "k" * 64)


def client(labels: dict[str, str]) -> Any:
    return SimpleNamespace(images=SimpleNamespace(get=lambda tag: SimpleNamespace(labels=labels)))


def test_the_image_with_its_key_is_there() -> None:
    assert exists(client({KEY_LABEL: IMAGE.key}), IMAGE)


@pytest.mark.parametrize("labels", [{}, {"coralforge": "1"}, {KEY_LABEL: "another"}, {KEY_LABEL: ""}])
def test_another_image_under_its_tag_is_not_taken_for_it(labels: dict[str, str]) -> None:
    assert not exists(client(labels), IMAGE)
