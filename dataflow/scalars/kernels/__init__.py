"""What single values do: SQL functions (`_scalars`), the text of types (text.h), rows as JSON (`_json`).

Wrapped by dataflow.scalars and dataflow.json.
"""
