"""One engine a file; which of them exist is written in `shared.catalog`."""
