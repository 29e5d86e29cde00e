"""What it means: from the records alone to a frame, and from the frame to a page. No torch."""
