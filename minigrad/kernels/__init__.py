"""Computing on raw arrays, NumPy's or CuPy's: no tensors, no graph; every function is given its array module `xp`."""
