"""What pixels of every kind become: 8 bits, upright, over white; or a refusal that says why."""

import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from initbench.data.decoding import Unreadable, decode, quiet

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6  # colour types of a PNG
ORIENTATION, BITS, PHOTOMETRIC = 274, 258, 262  # tags of EXIF and TIFF


def png(size: tuple[int, int], bits: int, colour: int, rows: list[bytes], **chunks: bytes) -> bytes:
    """A PNG as the standard has it, of kinds that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0))
    extra = b"".join(chunk(name.encode(), data) for name, data in chunks.items())
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., np.ndarray]:
    """(S, S, channels) pixels of a file with this content; its suffix matters to nobody."""

    def read(content: bytes, size: int, channels: int = 1) -> np.ndarray:
        (tmp_path / "image").write_bytes(content)
        with quiet():
            pixels = decode(str(tmp_path / "image"), size, channels)
        return np.frombuffer(pixels, np.uint8).reshape(channels, size, size).transpose(1, 2, 0)

    return read


SIXTEEN = np.array([[0, 257, 32768], [65535, 1000, 60000], [128, 129, 65000]], dtype=np.uint16)
EIGHT = np.round(SIXTEEN / 65535 * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "content",
    [
        saved(Image.fromarray(SIXTEEN), "PNG"),
        saved(Image.fromarray(SIXTEEN), "PPM"),
        saved(Image.fromarray(SIXTEEN), "TIFF"),
        saved(Image.fromarray(SIXTEEN), "TIFF", compression="tiff_lzw"),
        saved(Image.frombytes("I;16B", (3, 3), SIXTEEN.astype(">u2").tobytes()), "TIFF"),
        saved(Image.fromarray(65535 - SIXTEEN), "TIFF", tiffinfo={PHOTOMETRIC: 0}),
    ],
    ids=["png", "pgm", "tiff", "tiff-lzw", "tiff-big-endian", "tiff-white-is-zero"],
)
def test_sixteen_bits_are_scaled_to_eight(content: bytes, read: Callable[..., np.ndarray]) -> None:
    assert np.array_equal(read(content, 3)[..., 0], EIGHT)
    assert np.array_equal(read(content, 3, channels=3), np.repeat(EIGHT[..., None], 3, axis=2))


@pytest.mark.parametrize("colour, channels", [(RGB, 3), (GREY_ALPHA, 2), (RGB_ALPHA, 4)])
def test_sixteen_bits_of_several_channels_are_scaled_too(
    colour: int, channels: int, read: Callable[..., np.ndarray]
) -> None:
    values = np.random.default_rng(0).integers(65536, size=(4, 4, channels)).astype(">u2")
    if colour != RGB:
        values[..., -1] = 65535  # opaque
    found = read(png((4, 4), 16, colour, [row.tobytes() for row in values]), 4, channels=3)
    colours = values if colour == RGB else values[..., :-1]
    np.testing.assert_allclose(found, np.broadcast_to(colours / 257, found.shape), atol=1)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_fewer_than_eight_bits_are_scaled(bits: int, read: Callable[..., np.ndarray]) -> None:
    largest = 2**bits - 1
    row = bytes([largest << (8 - bits)])  # white, then black
    assert read(png((2, 2), bits, GREY, [row, row]), 2)[..., 0].tolist() == [[255, 0], [255, 0]]


def test_twelve_bits_of_a_tiff_are_scaled(read: Callable[..., np.ndarray]) -> None:
    row = (0xFFF << 12).to_bytes(3, "big")  # two pixels, white and black
    tags = [(256, 3, 2), (257, 3, 2), (BITS, 3, 12), (259, 3, 1), (PHOTOMETRIC, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 3, 2), (279, 4, 6)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag[:2], 1, tag[2]) for tag in tags)
    content = b"II*\0" + struct.pack("<I", 14) + row + row + directory + bytes(4)
    assert read(content, 2)[..., 0].tolist() == [[255, 0], [255, 0]]


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_floats_are_refused(kind: str, read: Callable[..., np.ndarray]) -> None:
    with pytest.raises(Unreadable, match="its pixels are floats of unknown range: convert it to 8 or 16 bits"):
        read(saved(Image.new("F", (4, 4), 0.5), kind), 4)


def test_integers_of_32_bits_are_refused(read: Callable[..., np.ndarray]) -> None:
    with pytest.raises(Unreadable, match="its pixels are 32-bit integers of unknown range"):
        read(saved(Image.new("I", (4, 4), 70_000), "TIFF"), 4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_is_applied(kind: str, orientation: int, read: Callable[..., np.ndarray]) -> None:
    """By the definition of EXIF: which side of the picture row 0 and column 0 of the file are."""
    upright = np.zeros((16, 16, 3), np.uint8)
    upright[:8], upright[:8, :8] = (0, 0, 255), (255, 0, 0)  # a red corner at the top left, blue at the top right
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {}
    content = saved(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    np.testing.assert_allclose(read(content, 16, channels=3).astype(int), upright.astype(int), atol=3)


def test_sixteen_bits_are_turned_too(read: Callable[..., np.ndarray]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    assert np.array_equal(read(saved(Image.fromarray(SIXTEEN), "PNG", exif=exif), 3)[..., 0], EIGHT[::-1, ::-1])


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_an_orientation_in_xmp_is_applied(kind: str, read: Callable[..., np.ndarray]) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    half = np.zeros((16, 16, 3), np.uint8)
    half[:8] = 255
    options = {"quality": 100} if kind == "JPEG" else {"lossless": True}
    found = read(saved(Image.fromarray(half), kind, xmp=xmp, **options), 16)
    np.testing.assert_allclose(found.astype(int), 255 - half[..., :1].astype(int), atol=3)


def test_a_damaged_exif_block_does_not_matter(read: Callable[..., np.ndarray]) -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        content = saved(Image.new("RGB", (4, 4), (200, 100, 0)), "JPEG", exif=exif, quality=100)
        np.testing.assert_allclose(read(content, 4, channels=3)[0, 0].astype(int), (200, 100, 0), atol=3)


def palette(index: int) -> Image.Image:
    """2 x 2 pixels of colour 0, black, or 1, red."""
    image = Image.new("P", (2, 2), index)
    image.putpalette([0, 0, 0, 255, 0, 0])
    return image


HALF_RED = (255, 0, 0, 128)  # over white: (255, 127, 127)


@pytest.mark.parametrize(
    "content, expected",
    [
        (saved(Image.new("RGBA", (2, 2), HALF_RED), "PNG"), (255, 127, 127)),
        (saved(Image.new("RGBA", (2, 2), HALF_RED), "TIFF"), (255, 127, 127)),
        (saved(Image.new("RGBA", (2, 2), HALF_RED), "WEBP", lossless=True), (255, 127, 127)),
        (saved(Image.new("RGBA", (2, 2), (9, 9, 9, 0)), "PNG"), (255, 255, 255)),
        (saved(Image.new("RGBA", (2, 2), (9, 8, 7, 255)), "PNG"), (9, 8, 7)),
        (saved(Image.new("LA", (2, 2), (0, 51)), "PNG"), (204, 204, 204)),
        (saved(palette(1), "PNG", transparency=b"\xff\x80"), (255, 127, 127)),
        (saved(palette(1), "PNG", transparency=b"\xff\x00"), (255, 255, 255)),
        (saved(palette(1), "PNG", transparency=b"\x00\xff"), (255, 0, 0)),
        (saved(palette(1), "GIF", transparency=1), (255, 255, 255)),
        (saved(Image.new("RGB", (2, 2), (9, 8, 7)), "PNG", transparency=(9, 8, 7)), (255, 255, 255)),
        (saved(Image.new("L", (2, 2), 9), "PNG", transparency=9), (255, 255, 255)),
        (saved(Image.new("L", (2, 2), 9), "PNG", transparency=8), (9, 9, 9)),
        (png((2, 2), 1, GREY, [b"\0", b"\0"], tRNS=b"\0\0"), (255, 255, 255)),
        (png((2, 2), 2, GREY, [b"\x50", b"\x50"], tRNS=b"\0\1"), (255, 255, 255)),
        (png((2, 2), 4, GREY, [b"\x55", b"\x55"], tRNS=b"\0\5"), (255, 255, 255)),
        (png((2, 2), 4, GREY, [b"\x55", b"\x55"], tRNS=b"\0\6"), (85, 85, 85)),
        (png((2, 2), 16, GREY, [b"\1\2" * 2] * 2, tRNS=b"\1\2"), (255, 255, 255)),
        (png((2, 2), 16, GREY, [b"\1\2" * 2] * 2, tRNS=b"\1\3"), (1, 1, 1)),
        (png((2, 2), 16, RGB, [b"\1\2\3\4\5\6" * 2] * 2, tRNS=b"\1\2\3\4\5\6"), (255, 255, 255)),
        (png((2, 2), 16, RGB_ALPHA, [b"\xff\xff\0\0\0\0\x80\0" * 2] * 2), (255, 127, 127)),
    ],
)
def test_what_is_transparent_shows_white(
    content: bytes, expected: tuple[int, ...], read: Callable[..., np.ndarray]
) -> None:
    found = read(content, 2, channels=3)
    np.testing.assert_allclose(found.astype(int), np.broadcast_to(expected, found.shape), atol=1)
    luma = 0.299 * expected[0] + 0.587 * expected[1] + 0.114 * expected[2]
    np.testing.assert_allclose(read(content, 2).astype(int), luma, atol=1.5)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "RGBA", "LA", "PA", "RGBX"])
def test_white_stays_white_and_black_black_in_every_mode(mode: str, read: Callable[..., np.ndarray]) -> None:
    for value in (0, 255):
        image = Image.new("RGB", (4, 4), (value,) * 3)
        if mode == "LAB":
            image = Image.new("LAB", (4, 4), (value, 128, 128))  # a and b are 0 at 128
        content = saved(image.convert(mode), "TIFF")
        np.testing.assert_allclose(read(content, 4, channels=3).astype(int), value, atol=1)
        np.testing.assert_allclose(read(content, 4).astype(int), value, atol=1)


def test_an_inverted_cmyk_jpeg_has_its_colour(read: Callable[..., np.ndarray]) -> None:
    content = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    np.testing.assert_allclose(read(content, 8, channels=3)[4, 4].astype(int), (255, 0, 0), atol=4)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_the_first_frame_is_taken(kind: str, read: Callable[..., np.ndarray]) -> None:
    first, *others = [Image.new("L", (4, 4), value).convert("RGB") for value in (10, 100, 200)]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = saved(first, kind, save_all=True, append_images=others, **options)
    assert (read(content, 4, channels=3) == 10).all()


WHOLE = Image.fromarray(np.random.default_rng(0).integers(256, size=(40, 60, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_a_truncated_file_is_refused(kind: str, read: Callable[..., np.ndarray]) -> None:
    content = saved(WHOLE, kind)
    for length in (0, 1, 10, len(content) // 4, len(content) // 2, len(content) - 50):
        with pytest.raises(Unreadable, match="it is empty" if length == 0 else ".") as caught:
            read(content[:length], 4)
        assert "\n" not in str(caught.value)
        assert "/" not in str(caught.value), "the file is named elsewhere"


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"])
def test_damage_of_any_kind_is_a_refusal_or_an_image(kind: str, read: Callable[..., np.ndarray]) -> None:
    """Parsers raise anything on bytes that they do not expect."""
    content = saved(WHOLE, kind)
    generator = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in generator.integers(min(len(content), 200), size=3):
            damaged[place] = generator.integers(256)
        with suppress(Unreadable):  # most damage makes it so; what can still be read has the right shape
            assert read(bytes(damaged), 4).shape == (4, 4, 1)


def test_a_decompression_bomb_is_refused(read: Callable[..., np.ndarray]) -> None:
    side = 20_000
    with pytest.raises(Unreadable, match="400000000 pixels"):
        read(png((side, side), 1, GREY, [bytes(side // 8)]), 4)


def test_a_large_image_is_read_without_a_warning(read: Callable[..., np.ndarray]) -> None:
    side = 9_600  # above Pillow's threshold of a warning, below that of an error
    assert (read(png((side, side), 1, GREY, [b"\xff" * (side // 8)] * side), 4) == 255).all()
