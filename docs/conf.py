"""How Sphinx builds the site out of this folder: `make docs`."""  # noqa: INP001 - a configuration, not a package

project = "detection harness"
html_title = "detection harness"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_copy_source = False
myst_heading_anchors = 4  # as GitHub makes them, so that a link works there and here
