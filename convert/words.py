"""Numbers and limits as people read them: in reports, progress and errors."""

from convert.budget import Breach

_LIMITS = {
    "max_accuracy_drop": "drop at most",
    "min_agreement": "agreement at least",
    "max_size": "size at most",
    "max_latency_ms": "latency at most",
}
_MEASURES = {
    "max_accuracy_drop": "drop",
    "min_agreement": "agreement",
    "max_size": "size",
    "max_latency_ms": "latency",
}
_UNITS = {"max_size": " bytes", "max_latency_ms": " ms"}


def broke(breach: Breach) -> str:
    """Says which limit was broken, and by how much."""
    name = _MEASURES[breach.limit]
    if breach.found is None:
        return f"{name} not known"
    found = _value(breach.limit, breach.found)
    if found == _value(breach.limit, breach.allowed):  # just beyond: all digits then
        found = f"{breach.found:,.10g}{_UNITS.get(breach.limit, '')}"
    return f"{name} {found}"


def limit(name: str, value: float) -> str:
    """Says a limit in words."""
    return f"{_LIMITS[name]} {_value(name, value)}"


def _value(name: str, value: float) -> str:
    if name == "max_size":
        return size(int(value))
    return f"{value:g} ms" if name == "max_latency_ms" else f"{value:.4g}"


def size(count: int | None) -> str:
    """Renders bytes."""
    if count is None:
        return ""
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.2f} MB"  # noqa: PLR2004  the units


def number(value: float | None) -> str:
    """Renders a metric, a drop or a share."""
    return "" if value is None else f"{value:.4f}"


def ms(value: float | None) -> str:
    """Renders milliseconds."""
    return "" if value is None else f"{value:.3f} ms"
