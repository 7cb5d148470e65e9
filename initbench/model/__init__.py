"""Models: plain nn.Modules from images (batch, in_channels, image_size, image_size) to scores (batch, num_classes).

A model is a class or function here (or anywhere importable), with a YAML in conf/model/ whose `_target_` names it;
`build` passes it the arguments that depend on the data: in_channels, image_size and num_classes.
"""

from typing import TYPE_CHECKING

from initbench import lazy

if TYPE_CHECKING:
    from initbench.model.airbench import Airbench
    from initbench.model.builder import GIVEN, build
    from initbench.model.lenet import LeNet
    from initbench.model.libraries import timm_model, torchvision_model
    from initbench.model.mlp import MLP
    from initbench.model.plain_cnn import PlainCNN
    from initbench.model.recurrent import gru, lstm, rnn
    from initbench.model.resnet_cifar import CifarResNet
    from initbench.model.resnet_imagenet import resnet
    from initbench.model.vgg import VGG
    from initbench.model.vit import ViT

__all__ = [
    "GIVEN",
    "MLP",
    "VGG",
    "Airbench",
    "CifarResNet",
    "LeNet",
    "PlainCNN",
    "ViT",
    "build",
    "gru",
    "lstm",
    "resnet",
    "rnn",
    "timm_model",
    "torchvision_model",
]

__getattr__ = lazy.attributes(
    __name__,
    {
        "GIVEN": "initbench.model.builder",
        "Airbench": "initbench.model.airbench",
        "build": "initbench.model.builder",
        "CifarResNet": "initbench.model.resnet_cifar",
        "gru": "initbench.model.recurrent",
        "LeNet": "initbench.model.lenet",
        "lstm": "initbench.model.recurrent",
        "MLP": "initbench.model.mlp",
        "PlainCNN": "initbench.model.plain_cnn",
        "resnet": "initbench.model.resnet_imagenet",
        "rnn": "initbench.model.recurrent",
        "timm_model": "initbench.model.libraries",
        "torchvision_model": "initbench.model.libraries",
        "VGG": "initbench.model.vgg",
        "ViT": "initbench.model.vit",
    },
)
