"""Hydra launcher: runs that differ in initializer and seed alone are trained as one model; the others one by one."""
