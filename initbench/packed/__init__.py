"""Many runs at once: replicas that differ in initializer, seed and learning rate, trained as one wide model."""
