"""Linear algebra: the leading term of the LAPACK operation count, halved into multiply-accumulates."""
