"""LeNet-5, the convolutional network of the MNIST paper."""

from torch import nn

from initbench.model.layers import Activation, activation, named


class LeNet(nn.Sequential):
    """Two times (5x5 convolution, activation, 2x2 max pool), then linear layers with 120, 84 and num_classes outputs.

    The sizes are those of LeCun et al. (1998). As is common today, max pooling replaces their trained subsampling, and
    every feature map is connected to all maps below. The first convolution is padded, so 28x28 images give the paper's
    16 maps of 5x5; larger images give larger maps.

    Raises ValueError for images smaller than 12x12.

    Source: LeCun, Bottou, Bengio & Haffner 1998, section II.B.
    """

    def __init__(
        self, *, in_channels: int, image_size: int, num_classes: int, nonlinearity: Activation = "relu"
    ) -> None:
        side = (image_size // 2 - 4) // 2  # the padded convolution keeps the size, the other subtracts 4, pools halve
        if side < 1:
            raise ValueError(f"images must be at least 12x12 pixels, not {image_size}x{image_size}")
        layers = {
            "conv1": nn.Conv2d(in_channels, 6, kernel_size=5, padding=2),
            "activation1": activation(nonlinearity),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(6, 16, kernel_size=5),
            "activation2": activation(nonlinearity),
            "pool2": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "linear1": nn.Linear(16 * side**2, 120),
            "activation3": activation(nonlinearity),
            "linear2": nn.Linear(120, 84),
            "activation4": activation(nonlinearity),
            "classifier": nn.Linear(84, num_classes),
        }
        super().__init__(named(layers))
