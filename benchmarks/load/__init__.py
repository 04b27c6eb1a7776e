"""The callers: lean enough never to be what is measured.

They go through the public methods of the contract, with messages left as bytes where
only their arrival counts.
"""
