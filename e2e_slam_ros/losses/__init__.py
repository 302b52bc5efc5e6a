"""What online adaptation minimises; each loss is one small pure function."""
