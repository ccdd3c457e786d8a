"""The report of a benchmark, drawn from its finished folder alone: HTML, Markdown, and figures as PDF and PNG."""
