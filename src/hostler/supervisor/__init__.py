"""The supervisor: decides which children live, and keeps it so."""
