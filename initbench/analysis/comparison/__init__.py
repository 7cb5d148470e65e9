"""What is compared with what, and what is found. All decisions are made here."""
