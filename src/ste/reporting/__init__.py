"""Console output, figures and HTML pages."""
