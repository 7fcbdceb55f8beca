"""The paper's tables and figures: what is printed, the spec of our runs, and ours beside theirs.

J. Cho, S. Kang, D. Hyun, H. Yu: Unsupervised Proxy Selection for Session-based Recommender
Systems. SIGIR 2021. https://doi.org/10.1145/3404835.3462958
"""
