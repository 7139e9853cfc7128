"""What is minimised: losses, by what they compare."""
