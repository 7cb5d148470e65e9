"""Many runs at once: replicas that differ in initializer and seed alone, trained as one vectorised model."""
