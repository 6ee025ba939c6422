"""Find, register and download exported models."""
