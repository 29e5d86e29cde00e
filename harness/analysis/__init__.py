"""What records mean, without a page: frames, statistics, significance, detections, one result against another. No torch."""
