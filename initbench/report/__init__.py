"""Reports about a verdict: what they show (content), as which files (formats), and on Weights & Biases (dashboard)."""
