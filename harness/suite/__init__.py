"""The suite file, its trials and the catalogue of architectures. Imports no torch, and knows no results."""
