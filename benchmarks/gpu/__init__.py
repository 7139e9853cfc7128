"""What a GPU run measures and checks: `python -m benchmarks.gpu`."""
