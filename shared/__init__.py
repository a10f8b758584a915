"""What the front and the workers both speak: records, settings, cache, ledger. Imports neither of them."""
