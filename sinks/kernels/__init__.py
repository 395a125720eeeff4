"""Native code of the sinks; each module has a typed wrapper one folder up."""
