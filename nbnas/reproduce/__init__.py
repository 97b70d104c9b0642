"""From notebooks to results, verdicts and the report."""
