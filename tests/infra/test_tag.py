"""The tag that an immutable repository has never seen."""

from infra.tag import ImageTagProvider

FOLDER = ".build/image/0123456789abcdef0123"


def test_tag_names_its_context() -> None:
    """A person who reads the tag can find the context that was built."""
    outs = ImageTagProvider().create({"context": FOLDER, "tag": None}).outs or {}

    assert (FOLDER, "0123456789abcdef") == (outs["context"], outs["tag"].partition("-")[0])


def test_change_taken_back_gets_another_tag() -> None:
    """The same context, built again after another one, is never pushed to its first tag."""
    provider = ImageTagProvider()
    first = provider.create({"context": FOLDER, "tag": None}).outs or {}
    between = provider.update("tag", first, {"context": "other", "tag": None}).outs or {}
    again = provider.update("tag", between, {"context": FOLDER, "tag": None}).outs or {}

    assert 3 == len({first["tag"], between["tag"], again["tag"]})


def test_same_context_keeps_its_tag() -> None:
    """Nothing is drawn, built or deployed while the context stays."""
    provider = ImageTagProvider()
    first = provider.create({"context": FOLDER, "tag": None}).outs or {}

    assert not provider.diff("tag", first, {"context": FOLDER, "tag": None}).changes
    assert provider.diff("tag", first, {"context": "other", "tag": None}).changes
