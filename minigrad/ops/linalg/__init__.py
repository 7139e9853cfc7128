"""Linear algebra: products of matrices, and what is solved, decomposed or measured of them."""
