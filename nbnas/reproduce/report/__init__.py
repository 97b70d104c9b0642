"""The HTML report: a verdict page, and one page per executed notebook, readable without network."""
