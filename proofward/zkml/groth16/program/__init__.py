"""The integer program that is proved: its form, its bounds, and its meaning."""
