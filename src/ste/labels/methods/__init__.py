"""Label methods, one file each; a file registers its method in `ste.registry.LABELS`."""
