//! The CUDA executor: the same plans as on the CPU, compiled for an NVIDIA GPU.
