"""Training of networks: a loop that trains, saves and resumes, and the tasks it runs."""
