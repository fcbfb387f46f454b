"""The detector on an NVIDIA GPU, through TensorRT 10.3 to 11 and pycuda, and the life of its engines.

Knows how an engine is built, kept, checked, loaded and run. Nothing here imports TensorRT or pycuda until it is asked
for: a machine without them pays nothing. The choice is made in edge_agent.perception.detector;
edge_agent.agent decides when to move from the CPU to the GPU.
"""
