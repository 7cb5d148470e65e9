"""Callbacks for anybody's LightningModule and Trainer."""
