"""What layers of networks compute: convolution, pooling, normalization, attention, recurrence, activations."""
