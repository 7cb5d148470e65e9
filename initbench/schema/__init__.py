"""What a value may be: the keys of a config, the arguments of a `_target_`, and how a refusal is worded."""
