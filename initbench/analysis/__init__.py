"""From records to answers: the frame of runs, and the ranking of initializers."""
