"""From files to packed batches: readers → table → columns, labels → examples → splits, checks → tokens → batches."""
