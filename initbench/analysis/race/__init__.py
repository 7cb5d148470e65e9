"""A race: seeds are run until it is known which initializer is the best, or that the best ones are equal."""
