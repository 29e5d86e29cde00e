"""The figures of the page, one file each: a function from analysed rows to the bytes of a picture."""
