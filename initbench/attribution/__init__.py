"""Which part of an initializer makes the difference to another one: `python -m initbench.attribution`."""
