"""What watches a run: its history, and its progress bar."""
