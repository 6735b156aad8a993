"""A folder of pictures -> rows, pixel for pixel as the handler makes them of a request.

The same steps in the same order, with the same library: the handler imports nothing from here,
so a test holds the two to equal numbers.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from convert.card import Picture
from convert.errors import DataError

_ORIENTATION = 0x0112
# EXIF's orientation -> what undoes it, by Pillow's name.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def read(folder: Path, picture: Picture | None) -> npt.NDArray[np.float64]:
    """Reads every picture in a folder and below, in the order of their names.

    Args:
        folder: Holds PNG, JPEG or WebP files; others are left alone.
        picture: The card's.

    Returns:
        [pictures, height, width, channels], scaled to the card's range.

    Raises:
        DataError: The card has no `picture`, there are no pictures, or one is damaged.
    """
    if picture is None:
        raise DataError(
            f"{folder}: a folder of pictures needs the card's `picture:` (width, height, color, "
            "range), which says how a picture becomes an input; or give an .npz or a .csv file"
        )
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise DataError(f"{folder}: no pictures in it: expected {', '.join(_SUFFIXES)} files")
    low, high = picture.range
    pixels = np.stack([_pixels(file, picture) for file in files])
    return low + (high - low) * pixels.astype(np.float64) / 255


def _pixels(file: Path, picture: Picture) -> npt.NDArray[np.uint8]:
    from PIL import Image  # only models of pictures need it

    try:
        with Image.open(file, formats=("PNG", "JPEG", "WEBP")) as opened:
            # Not exif_transpose: it fails over any other tag that a camera has written wrongly.
            turn = _UPRIGHT.get(opened.getexif().get(_ORIENTATION, 1))
            image = opened if turn is None else opened.transpose(Image.Transpose[turn])
            if image.mode.startswith("I"):
                image = image.point(lambda value: value / 256)
            elif isinstance(image.info.get("transparency"), bytes):
                image = image.convert("RGBA")
            image = image.convert("L" if picture.color == "gray" else "RGB")
    except Exception as error:  # Pillow raises whatever it meets in a broken file
        raise DataError(f"{file}: a damaged picture: {type(error).__name__}: {error}") from error
    size = (picture.width, picture.height)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    values = np.frombuffer(image.tobytes(), np.uint8)
    return values.reshape(picture.height, picture.width, -1)
