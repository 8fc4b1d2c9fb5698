"""Raw requests and what must come of them, clause by clause."""
