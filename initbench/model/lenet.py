"""LeNet-5, the convolutional network of the MNIST paper."""

from torch import nn

from initbench.model.layers import Activation, activation, named


class LeNet(nn.Sequential):
    """Two (5x5 convolution, activation, 2x2 max pool), then fully connected layers of 120, 84, num_classes.

    The sizes are those of LeCun et al. (1998); as in later practice, max pooling without weights stands
    for their trained subsampling and every feature map sees all maps below. The first convolution is
    padded, so 28x28 images give the paper's 16 maps of 5x5; larger images give larger maps.

    Raises ValueError for images smaller than 12x12.
    """

    def __init__(
        self, *, in_channels: int, image_size: int, num_classes: int, nonlinearity: Activation = "relu"
    ) -> None:
        side = (image_size // 2 - 4) // 2  # padded 5x5 keeps the size, unpadded 5x5 takes 4, pools halve
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
