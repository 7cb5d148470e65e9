"""Models: plain nn.Modules that take (batch, in_channels, image_size, image_size) and return class scores.

A model is a class or function here (or anywhere importable) plus a YAML in conf/model/ whose `_target_`
names it; `build` adds what the data says: in_channels, image_size, num_classes.
"""

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
