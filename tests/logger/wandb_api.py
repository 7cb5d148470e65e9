"""The stand-in for wandb's server, by the name that the tests of the loggers have for it."""

from wandb_server import KEY
from wandb_server import Server as Api

__all__ = ["KEY", "Api"]
