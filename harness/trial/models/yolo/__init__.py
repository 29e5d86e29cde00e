"""The YOLOs of the libreyolo library in this program's own training. `family` is what the rest may import."""
