"""All classifiers of timm and torchvision by their names; pretrained weights are never loaded."""

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.errors import nearest

# Their constructors add auxiliary classifiers (Szegedy et al. 2015) and warn about their own slow initialization.
_INCEPTIONS = ("googlenet", "inception_v3")


def timm_model(*, in_channels: int, image_size: int, num_classes: int, architecture: str, **options: Any) -> nn.Module:
    """`timm.create_model(architecture, **options)` (Wightman 2019) for images of this shape.

    The image size is passed to architectures that require one. If patches do not tile the image, timm silently drops
    its border; here the image is padded with zeros to whole patches instead.
    Raises ValueError if timm is not installed, and for an unknown architecture.
    """
    try:
        import timm  # optional, and takes seconds to import
    except ImportError as error:
        raise ValueError("timm is not installed: pip install 'initbench[timm]'") from error

    if not timm.is_model(architecture):
        raise _unknown_architecture("timm", architecture, timm.list_models())
    published = timm.get_pretrained_cfg(architecture)
    if published is not None and published.fixed_input_size:
        options.setdefault("img_size", image_size)

    def create(**options: Any) -> nn.Module:
        model: nn.Module = timm.create_model(
            architecture, pretrained=False, in_chans=in_channels, num_classes=num_classes, **options
        )
        return model

    model = create(**options)
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    missing = -image_size % patch[0] if isinstance(patch, tuple) else 0
    if missing:
        model = create(**{**options, "img_size": image_size + missing})
        before, after = missing // 2, missing - missing // 2
        model.register_forward_pre_hook(lambda _, inputs: (F.pad(inputs[0], (before, after, before, after)),))
    return model


def torchvision_model(
    *, in_channels: int, image_size: int, num_classes: int, architecture: str, **options: Any
) -> nn.Module:
    """`torchvision.models.get_model(architecture, **options)` for images of this shape.

    The first convolution is replaced if the images do not have three channels.
    Raises ValueError for an unknown architecture.
    """
    from torchvision import models  # takes seconds to import

    names = models.list_models(module=models)
    if architecture not in names:
        raise _unknown_architecture("torchvision", architecture, names)
    if architecture.startswith("vit_"):
        options.setdefault("image_size", image_size)
    if architecture.startswith("maxvit_"):
        options.setdefault("input_size", (image_size, image_size))
    if architecture in _INCEPTIONS:
        options |= {"aux_logits": False, "init_weights": False}
    model: nn.Module = models.get_model(architecture, weights=None, num_classes=num_classes, **options)
    if in_channels != 3:
        _rebuild_first_convolution(model, in_channels)
    return model


def _rebuild_first_convolution(model: nn.Module, in_channels: int) -> None:
    name, conv = next((name, m) for name, m in model.named_modules() if isinstance(m, nn.Conv2d))
    rebuilt = nn.Conv2d(
        in_channels,
        conv.out_channels,
        kernel_size=conv.kernel_size,  # type: ignore[arg-type] # a pair, annotated as any tuple
        stride=conv.stride,  # type: ignore[arg-type] # likewise
        padding=conv.padding,  # type: ignore[arg-type] # likewise
        bias=conv.bias is not None,
    )
    model.set_submodule(name, rebuilt)


def _unknown_architecture(library: str, architecture: str, names: Iterable[str]) -> ValueError:
    # Not errors.unknown, which would print all of the many names.
    listing = {"timm": "timm.list_models('vit*')", "torchvision": "torchvision.models.list_models()"}[library]
    return ValueError(
        f"unknown {library} architecture {architecture!r}.{nearest(architecture, names)} {listing} lists them all"
    )
