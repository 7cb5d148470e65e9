"""What a config may be, and how it becomes plain values and objects."""
