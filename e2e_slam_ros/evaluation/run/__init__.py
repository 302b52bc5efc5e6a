"""One mapping run: what is recorded of it, its figures, and the report that shows them."""
