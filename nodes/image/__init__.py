"""Pictures: files, sizes, filters, one over the other."""
