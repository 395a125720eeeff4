"""What single values do: SQL functions (`_scalars`), the text of types (text.h), rows as JSON (`_json`), statistics (`_moments`).

Wrapped by dataflow.scalars and dataflow.json.
"""
