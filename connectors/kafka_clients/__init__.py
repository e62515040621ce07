"""Two clients for Kafka behind one seam; each is imported on use."""
