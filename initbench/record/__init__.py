"""The record of a run: its signature, its folder on disk, and where its numbers come from. Needs no torch."""
