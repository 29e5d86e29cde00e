"""The sections of the page, one file each: a function from a `DatasetAnalysis` to markdown."""
