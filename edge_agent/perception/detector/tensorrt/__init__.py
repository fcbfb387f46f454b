"""The detector on an NVIDIA GPU, through TensorRT 10.3 to 11 and pycuda: find, build, cache, verify and run engines.

TensorRT and pycuda are imported on first use only, so a machine without them pays nothing. An engine is opened, run and
closed in one thread; it is built in a child process.
"""
