"""Initial weights that nets share."""

from torch import nn


def he_initial(net: nn.Module) -> None:
    """Draw a net's convolutions from N(0, 2 / (outputs * kernel height * width)), and let its linear layers start without bias.

    He et al., arXiv:1502.01852, by the outputs, as in the Torch code of the residual and the dense nets.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
