"""Rows as message keys and values, one module per format."""
