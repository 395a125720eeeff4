"""Native kernels of the doors: rows as bytes of the PostgreSQL wire."""
