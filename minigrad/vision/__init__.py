"""Images to train on: files in the IDX format, and the small data sets that are embedded in the package."""
