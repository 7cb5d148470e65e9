"""Decode one image file to 8-bit pixels of a given size."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

_MODES = {1: "L", 3: "RGB"}
_BACKGROUND = 255  # of transparent images: white, as on a page
# A PNG's transparent colour has as many bits as the file, while Pillow stretches its pixels to 8.
_IN_EIGHT_BITS = {
    "L;2": lambda grey: 85 * grey,
    "L;4": lambda grey: 17 * grey,
    "RGB;16B": lambda rgb: [v >> 8 for v in rgb],
}

_MAY_TURN = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # where an orientation may stand


class Unreadable(ValueError):  # noqa: N818 - of a file, which is no error of the program
    """An image file that cannot be read; the message is the reason, without the file's name."""


def decode(file: str, image_size: int, channels: int) -> bytes:
    """One image as (channels, image_size, image_size) bytes, in RGB (`channels` 3) or grey (1).

    The first frame of several is turned as its EXIF orientation says, composited over white where it is transparent,
    its shorter side resized to `image_size` (bicubic, antialiased), and its centre kept. 16-bit grey is scaled to 8.

    Raises Unreadable for files that are empty, damaged, truncated or no images, for more pixels than Pillow opens (a
    decompression bomb), and for pixels whose range the file does not state (floats and 32-bit integers).
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            image.draft(_MODES[channels], (image_size, image_size))  # a JPEG decodes no larger than needed
            pixels = _opaque(_eight_bits(image)).convert(_MODES[channels])
    except UnidentifiedImageError as error:  # its own message repeats the file's name
        reason = "it is in no format that Pillow knows" if Path(file).stat().st_size else "it is empty"
        raise Unreadable(reason) from error
    except Exception as error:  # whatever a parser raises on bytes that it does not expect
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Unreadable(" ".join(reason.split())) from error
    if pixels.size != (image_size, image_size):
        pixels = ImageOps.fit(pixels, (image_size, image_size), method=Image.Resampling.BICUBIC)
    return np.asarray(pixels).reshape(image_size, image_size, channels).transpose(2, 0, 1).tobytes()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings about metadata and large images, in all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _eight_bits(image: Any) -> Any:
    """The loaded image, upright. Pillow's own conversion of more than 8 bits clips them at 255."""
    from PIL import ImageOps

    layout = image.tile[0].args if image.tile else ""  # known until the pixels are loaded
    image.load()
    if image.format == "TIFF" or not _MAY_TURN.isdisjoint(image.info):  # looking for it is slow
        with suppress(Exception):  # a damaged EXIF block says nothing about the pixels
            ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _from_sixteen_bits(image)
    if image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floats"
        raise Unreadable(f"its pixels are {kind} of unknown range: convert it to 8 or 16 bits")
    if image.mode == "LAB":
        return image.convert("RGB")  # Pillow knows no way from Lab to grey
    if "transparency" in image.info and layout in _IN_EIGHT_BITS:
        image.info["transparency"] = _IN_EIGHT_BITS[layout](image.info["transparency"])
    return image


def _from_sixteen_bits(image: Any) -> Any:
    """Grey of up to 16 bits as 8 bits; black stays black, and white stays white."""
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    white = 2 ** tags.get(258, (16,))[0] - 1
    grey = (values * 255 + white // 2) // white
    if tags.get(262) == 0:  # white is zero
        grey = 255 - grey
    if "transparency" in image.info:
        grey[values == image.info["transparency"]] = _BACKGROUND
    return Image.fromarray(grey.astype(np.uint8))


def _opaque(image: Any) -> Any:
    from PIL import Image

    if not image.has_transparency_data:
        return image
    background = Image.new("RGBA", image.size, (_BACKGROUND,) * 3)
    return Image.alpha_composite(background, image.convert("RGBA"))
