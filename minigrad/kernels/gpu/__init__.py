"""Kernels for NVIDIA GPUs: CUDA C++ in the `.cu` files, what launches them in the modules beside.

Each is a fast way beside a plain one: `launch.takes` says whether it is used. Tests hold the two equal, without a GPU
by running the sources on the CPU.
"""
