"""Which weights are where, in which number type, within what memory."""
