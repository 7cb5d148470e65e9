"""Whether the best learning rate is the same at every width, depth or batch size."""
