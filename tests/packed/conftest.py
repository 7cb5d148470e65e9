"""A Trackio of the test's own."""

from trackio_fixtures import trackio_alone

__all__ = ["trackio_alone"]
