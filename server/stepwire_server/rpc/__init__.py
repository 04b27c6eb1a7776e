"""The wire: servicers that translate, and what every call passes through."""
