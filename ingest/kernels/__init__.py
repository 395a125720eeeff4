"""The native code of this room; each `_name` module has a typed wrapper beside the room's Python and a stub file here."""
