"""Training of networks: tasks say what is learnt, the loop trains, saves and resumes them."""
