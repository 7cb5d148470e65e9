"""The site, which `make docs` builds into build/site with Sphinx: its pages are the Markdown files of this folder."""

from initbench import __version__

project = "initbench"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "index"
exclude_patterns = ["README.md"]  # GitHub's index of this folder, which index.md includes
nitpicky = True  # every name in a signature or a docstring that looks like a link has to lead somewhere

# Headings have the anchors that GitHub gives them, so that the same links work in both places.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "initbench"
html_copy_source = False
