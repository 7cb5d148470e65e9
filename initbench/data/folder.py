"""Images in folders, one folder per class."""

from pathlib import Path
from typing import Literal

import torch

from initbench.console import warn
from initbench.data.arrays import Arrays
from initbench.data.listing import list_images
from initbench.data.pixels import decoded
from initbench.schema.ranges import PositiveInt
from initbench.sizes import Sizes


def image_folder(root: str, folder: str | None, image_size: PositiveInt, channels: Literal[1, 3] = 3) -> Arrays:
    """Images under `folder`/train/<class>/ and `folder`/test/<class>/, in any format that Pillow reads.

    Each image is resized and its centre cut out, to `image_size` pixels a side, in RGB (`channels` 3) or grey
    (1); docs/how_to/images.md says how other kinds of pixels become these. A relative `folder` lies in `root`. The
    decoded images are cached in `folder`/.initbench, or in the user's cache folder where that cannot be written, and
    decoded again when a file was added, removed or changed. One line on stderr counts what was skipped.

    Raises ValueError for a folder, split or class that is missing or empty, a class of test that train lacks,
    images that cannot be read, links that lead nowhere, and a cache that cannot be written.
    """
    path = _path(root, folder)
    listing = list_images(path)
    for remark in listing.remarks:
        warn(remark)
    images = torch.from_numpy(decoded(path, listing, image_size, channels))
    labels = torch.tensor(listing.labels, dtype=torch.int64)
    n = listing.num_train
    return Arrays(
        *(images[:n], labels[:n], images[n:], labels[n:], listing.classes),
        is_current=lambda: list_images(path).digest == listing.digest,
    )


def image_folder_sizes(root: str, folder: str | None, image_size: int, channels: int = 3) -> Sizes:
    """The sizes of what `image_folder` would return. No image is read. Raises ValueError as `image_folder` does."""
    listing = list_images(_path(root, folder))
    return Sizes(listing.num_train, (channels, image_size, image_size), num_classes=len(listing.classes))


def _path(root: str, folder: str | None) -> Path:
    if not folder:
        raise ValueError("data.folder is not set: the folder that holds train/<class>/ and test/<class>/")
    return Path(root) / folder
