"""Files, folders, hub data sets and frames become tables of rows."""
