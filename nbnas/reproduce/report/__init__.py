"""The HTML report: a verdict page, and one page per executed notebook, readable without network."""

from nbnas.reproduce.report.build import build_report

__all__ = ["build_report"]
