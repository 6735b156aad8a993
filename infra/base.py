"""The base image by its digest: a tag may name other bytes tomorrow.

A stack that builds from a tag is warned; what is protected, as production is, takes no image that
was built so, neither its own nor a promoted one.
"""

import re

PINNED = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
UNKNOWN = "unknown"  # an image gone back to: what it was built on is not recorded


def is_pinned(image: str) -> bool:
    """Whether an image is named by its digest."""
    return PINNED.fullmatch(image) is not None


def remark(image: str, stack: str) -> str:
    """What to say of a stack's own base image that is not pinned."""
    return f"image.baseImage is {image!r}, {_advice(image, stack)}"


def remark_on_promoted(image: str, source: str) -> str:
    """What to say of an image that a stage took over, built from a tag."""
    return (
        f"the image promoted from {source} was built on {image!r}, {_advice(image, 'STACK')} in "
        "the stack that builds, and deploy it again"
    )


def _advice(image: str, stack: str) -> str:
    name = image.partition("@")[0]
    digest = f"$(docker buildx imagetools inspect {name} --format '{{{{.Manifest.Digest}}}}')"
    return (
        "a tag, which may name other bytes tomorrow; pin its digest: "
        f'pulumi config set --stack {stack} --path image.baseImage "{name}@{digest}"'
    )
