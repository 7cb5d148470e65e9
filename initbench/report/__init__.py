"""Reports about a verdict: what they show (content), as which files (formats), and on Weights & Biases (dashboard)."""

FOLDER = "report"  # in the study's own
