"""The kernels that move rows, and the Arrow boundary (arrow.h) of every room's native code; wrapped by rows.py and layout.py."""
