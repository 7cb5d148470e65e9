"""Datasets, and the Lightning data module that serves them. Names load on first use.

A source is a function that returns `Arrays` (images), `Vectors` (rows of numbers) or `Tokens` (a text); a YAML in
conf/data/ names it by `_target_` and gives its arguments. Files are named other than the functions they hold, so that
`initbench.data.image_folder` is always the function.
"""

from typing import TYPE_CHECKING

from initbench import lazy

__all__ = [
    "Arrays",
    "Data",
    "DataModule",
    "ImageData",
    "Tokens",
    "Vectors",
    "build",
    "check_source",
    "curves",
    "image_folder",
    "look",
    "mnist_mini",
    "table",
    "text_file",
    "text_mini",
    "tokens",
    "torchvision_dataset",
]

if TYPE_CHECKING:
    from initbench.data.arrays import Arrays
    from initbench.data.base import Data
    from initbench.data.columns import table
    from initbench.data.factory import build, check_source, look
    from initbench.data.folder import image_folder
    from initbench.data.functions import curves
    from initbench.data.images import ImageData
    from initbench.data.mini import mnist_mini
    from initbench.data.module import DataModule
    from initbench.data.sentences import text_mini
    from initbench.data.text import text_file
    from initbench.data.token_file import tokens
    from initbench.data.vectors import Vectors
    from initbench.data.vision import torchvision_dataset
    from initbench.data.windows import Tokens

__getattr__ = lazy.attributes(
    __name__,
    {
        "Arrays": "initbench.data.arrays",
        "Data": "initbench.data.base",
        "DataModule": "initbench.data.module",
        "ImageData": "initbench.data.images",
        "Tokens": "initbench.data.windows",
        "Vectors": "initbench.data.vectors",
        "build": "initbench.data.factory",
        "check_source": "initbench.data.factory",
        "curves": "initbench.data.functions",
        "image_folder": "initbench.data.folder",
        "look": "initbench.data.factory",
        "mnist_mini": "initbench.data.mini",
        "table": "initbench.data.columns",
        "text_file": "initbench.data.text",
        "text_mini": "initbench.data.sentences",
        "tokens": "initbench.data.token_file",
        "torchvision_dataset": "initbench.data.vision",
    },
)
