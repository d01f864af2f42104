"""Examples become token sequences and packed batches."""
