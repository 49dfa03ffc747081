import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tuner.data.decode import UndecodableImage, decode, decode_batch, file_decoder, resize_pixels

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (19, 13, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
GREY = RGB.convert("L")
PALETTE = RGB.quantize(16)
SIXTEEN_BIT = RNG.integers(0, 2**16, (19, 13), dtype=np.uint16)
SIZES = [(19, 13), (8, 8), (32, 24)]


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rgb(image):
    return np.asarray(image.convert("RGB"))


# By name: the file, the pixels it stands for, how far decoding may be from them.
FORMATS = {
    "png": (encoded(RGB, "PNG"), PIXELS, 0),
    "png grey": (encoded(GREY, "PNG"), rgb(GREY), 0),
    "png grey alpha": (encoded(RGB.convert("LA"), "PNG"), rgb(GREY), 0),
    "png rgba": (encoded(RGB.convert("RGBA"), "PNG"), PIXELS, 0),
    "png palette": (encoded(PALETTE, "PNG"), rgb(PALETTE), 0),
    "png palette transparent": (encoded(PALETTE, "PNG", transparency=0), rgb(PALETTE), 0),
    "png one bit": (encoded(RGB.convert("1"), "PNG"), rgb(RGB.convert("1")), 0),
    "png 16 bit": (
        encoded(Image.fromarray(SIXTEEN_BIT), "PNG"),
        np.repeat((SIXTEEN_BIT >> 8).astype(np.uint8)[..., None], 3, axis=-1),
        0,
    ),
    "jpeg": (encoded(RGB, "JPEG"), rgb(Image.open(io.BytesIO(encoded(RGB, "JPEG")))), 4),
    "jpeg progressive": (
        encoded(RGB, "JPEG", progressive=True),
        rgb(Image.open(io.BytesIO(encoded(RGB, "JPEG")))),
        4,
    ),
    "jpeg grey": (
        encoded(GREY, "JPEG"),
        rgb(Image.open(io.BytesIO(encoded(GREY, "JPEG")))),
        2,
    ),
    "jpeg cmyk": (
        encoded(RGB.convert("CMYK"), "JPEG"),
        rgb(Image.open(io.BytesIO(encoded(RGB.convert("CMYK"), "JPEG")))),
        4,
    ),
    "gif": (encoded(RGB, "GIF"), rgb(Image.open(io.BytesIO(encoded(RGB, "GIF")))), 0),
    "gif animated": (
        encoded(RGB, "GIF", save_all=True, append_images=[Image.fromarray(255 - PIXELS)]),
        rgb(Image.open(io.BytesIO(encoded(RGB, "GIF")))),
        0,
    ),
    "bmp": (encoded(RGB, "BMP"), PIXELS, 0),
    "bmp rgba": (encoded(RGB.convert("RGBA"), "BMP"), PIXELS, 0),
    "bmp grey": (encoded(GREY, "BMP"), rgb(GREY), 0),
    "bmp palette": (encoded(PALETTE, "BMP"), rgb(PALETTE), 0),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_pixels_it_stands_for(name):
    content, expected, tolerance = FORMATS[name]
    decoded = decode(tf.constant(content), (19, 13), 3).numpy()
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", FORMATS)
def test_grey_is_the_luma_of_every_format(name):
    content, _, _ = FORMATS[name]
    coloured = decode(tf.constant(content), (19, 13), 3).numpy()
    grey = decode(tf.constant(content), (19, 13), 1).numpy()
    expected = np.asarray(Image.fromarray(coloured).convert("L"))[..., None]
    assert grey.shape == (19, 13, 1)
    assert np.abs(grey.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_cache_and_exported_model_decode_to_the_same_bytes(size, channels, tmp_path):
    contents = [content for content, _, _ in FORMATS.values()]
    eager = np.stack([decode(tf.constant(one), size, channels).numpy() for one in contents])
    decoder = file_decoder(size, channels)
    assert np.array_equal(np.stack([decoder(one) for one in contents]), eager)

    module = tf.Module()
    module.serve = tf.function(
        lambda image_bytes: decode_batch(image_bytes, size, channels),
        input_signature=[tf.TensorSpec((None,), tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path / "model"))
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    served = loaded.serve(tf.constant(contents))
    assert np.array_equal(served.numpy(), eager)
    assert served.shape == (len(contents), *size, channels)

    full = np.stack([decode(tf.constant(one), (19, 13), 3).numpy() for one in contents])
    resized = tf.function(lambda images: resize_pixels(images, size, channels))(full)
    assert np.array_equal(resized.numpy(), eager)


def test_images_of_the_right_size_keep_their_pixels():
    assert np.array_equal(resize_pixels(PIXELS[None], (19, 13), 3).numpy()[0], PIXELS)


def test_shrinking_is_antialiased():
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, ::2] = 255
    inner = resize_pixels(stripes, (8, 8), 3).numpy()[:, :, 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, 0 bytes"),
        (b"no image at all, but long enough to look at; more of it follows here", "Unknown image"),
        (encoded(RGB, "PNG")[:60], "Invalid PNG data"),
        (encoded(RGB, "JPEG")[:-40], "Invalid JPEG data"),
        (encoded(RGB, "GIF")[:300], "GIF"),
        (encoded(RGB, "BMP")[:100], "size"),
        (encoded(PALETTE, "BMP")[:100], "size"),
        (encoded(RGB.convert("1"), "BMP"), "channels"),
        (encoded(PALETTE, "BMP").replace(b"v\0\0\0", b"6\0\0\0", 1), "size"),
        (encoded(RGB, "TIFF"), "Unknown image file format"),
        (b"BM", "Incomplete bmp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_decoded_has_a_reason_in_one_line(content, reason):
    with pytest.raises(UndecodableImage, match=reason) as caught:
        file_decoder((8, 8), 3)(content)
    text = str(caught.value)
    assert "\n" not in text
    assert "{{" not in text
    assert "[[" not in text
