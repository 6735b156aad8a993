"""What a client would rather have: Accept and Accept-Encoding, with their q-values."""

from __future__ import annotations


def choose(header: str, offers: tuple[str, ...]) -> str | None:
    """The offer that a header likes best.

    Args:
        header: Such as `application/x-npy, application/json;q=0.5`, or `gzip, *;q=0`.
        offers: What there is to choose from, best first among equals.

    Returns:
        One of the offers, or None where the header takes none of them.
    """
    wishes = _wishes(header)
    best: str | None = None
    highest = (0.0, 0)
    for offer in offers:
        rank = _rank(offer, wishes)
        if rank > highest and rank[0] > 0:
            best, highest = offer, rank
    return best


def _rank(offer: str, wishes: dict[str, float]) -> tuple[float, int]:
    """How much an offer is liked, and how expressly: of two equal wishes the express one counts."""
    for i, name in enumerate((offer, f"{offer.partition('/')[0]}/*", "*/*", "*")):
        if name in wishes:
            return wishes[name], 4 - i
    return 0.0, 0


def _wishes(header: str) -> dict[str, float]:
    wishes = {}
    for item in header.lower().split(",")[:32]:
        name, _, rest = item.partition(";")
        quality = 1.0
        for parameter in rest.split(";"):
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = _quality(value.strip())
        wishes[name.strip()] = quality
    return wishes


def _quality(text: str) -> float:
    # float() would take "nan", "1e9" and "1_0" too.
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return min(float(text), 1.0)
    return 0.0
