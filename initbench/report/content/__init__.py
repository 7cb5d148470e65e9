"""What a report shows, whatever the format: tables, plots, diagrams and explanations."""
