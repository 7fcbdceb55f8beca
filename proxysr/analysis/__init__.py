"""What a trained model did: which proxies sessions choose, and whether they mean anything.

Reads runs and models; never trains, never repeats a forward pass, draws nothing.
"""
