"""Pictures: frames and arrays in, ``plotly.graph_objects.Figure`` out.

Nothing here knows models or torch, and nothing here computes more than a picture needs.
"""
