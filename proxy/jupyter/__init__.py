"""What is installed into Jupyter."""
