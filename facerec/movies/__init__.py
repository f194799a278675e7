"""A finished movie folder as pandas tables: who is seen when, where, how large, and how sure that is."""
