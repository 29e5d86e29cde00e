"""Fine-tuning: the loop over steps, one step, its optimizer, and what it takes to resume."""
