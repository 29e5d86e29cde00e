"""One reader a file, each from an annotation format to `harness.data.annotations.Annotations`."""
