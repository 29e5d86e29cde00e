"""Write annotations for other tools: each module writes one format."""
