"""Models: plain nn.Modules from images, rows of numbers or tokens to what their task needs, such as scores of classes.

A model is a class or function here (or anywhere importable), with a YAML in conf/model/ whose `_target_` names it;
`build` passes it those of `GIVEN`, which depend on data and task, that it takes.
"""

from typing import TYPE_CHECKING

from initbench import lazy

if TYPE_CHECKING:
    from initbench.model.airbench import Airbench
    from initbench.model.autoencoders import autoencoder
    from initbench.model.builder import GIVEN, build, check, example
    from initbench.model.gpt import GPT
    from initbench.model.hugging_face import hugging_face_model
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
    "GPT",
    "MLP",
    "VGG",
    "Airbench",
    "CifarResNet",
    "LeNet",
    "PlainCNN",
    "ViT",
    "autoencoder",
    "build",
    "check",
    "example",
    "gru",
    "hugging_face_model",
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
        "autoencoder": "initbench.model.autoencoders",
        "build": "initbench.model.builder",
        "check": "initbench.model.builder",
        "example": "initbench.model.builder",
        "GPT": "initbench.model.gpt",
        "CifarResNet": "initbench.model.resnet_cifar",
        "gru": "initbench.model.recurrent",
        "hugging_face_model": "initbench.model.hugging_face",
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
