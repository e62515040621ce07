"""Other libraries doing the same work, or the nearest that they offer.

Each module's ``contenders`` raises ImportError where its library is missing.
"""
