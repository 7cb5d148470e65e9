"""Processes of this machine that do the jobs of a sweep, one per slot."""
