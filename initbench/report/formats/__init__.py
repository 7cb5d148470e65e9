"""A report as a page, Markdown, LaTeX, figures for papers, or text in the terminal."""
