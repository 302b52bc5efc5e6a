"""How good a run was: metrics, and the report that shows them."""
