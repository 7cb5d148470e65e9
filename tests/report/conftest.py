"""wandb alone on this machine, and a server for it."""

from wandb_fixtures import closed_port, server, wandb_alone

__all__ = ["closed_port", "server", "wandb_alone"]
