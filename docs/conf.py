"""The site, which `make docs` builds into build/site with Sphinx: its pages are the Markdown files of this folder."""

import sys
from pathlib import Path

from initbench import __version__

sys.path.insert(0, str(Path(__file__).parent))  # for docstrings.py

project = "initbench"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "docstrings"]
root_doc = "index"
exclude_patterns = ["README.md"]  # GitHub's index of this folder, which index.md includes
nitpicky = True  # every name in a signature or a docstring that looks like a link has to lead somewhere
# The pages of other projects are not looked up, so that the site can be built offline.
nitpick_ignore_regex = [
    ("py:.*", r"(annotated_types|collections|go|lightning|numpy|pandas|pathlib|pd|rich|torch|typing)\..*"),
]
# Types that occur in signatures, and are of no use to callers.
nitpick_ignore = [
    ("py:class", "initbench.analysis.comparison.comparison.Comparison"),
    ("py:class", "initbench.diagnostics.probe.Reading"),
    ("py:class", "initbench.init.declarations.Function"),
    ("py:class", "initbench.init.method.Method"),
]

# The Python API: docstrings, and signatures with an argument per line.
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False

# Headings have the anchors that GitHub gives them, so that the same links work in both places.
myst_heading_anchors = 4

html_theme = "furo"
html_title = "initbench"
html_static_path = ["_static"]
html_copy_source = False
html_show_search_summary = False  # a browser fetches no summary from a file
